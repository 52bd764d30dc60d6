-- SPDX-License-Identifier: MIT
--
-- Writes users into the index of a server that somebody has, for whom there is an entry that it may not name: a node of
-- a cluster went back in time. Of those that it did not name the server hears, for they may be a former instance's.
--
-- KEYS[1] lease    hash  inst, status = <instance>/<sequence>
-- KEYS[2] uids     set   of user ids that the server published or claimed
-- KEYS[3] revoked  set   of user ids to be published anew
-- ARGV[1] milliseconds that the revocations stay   ARGV[2…] user ids
-- Reply   1 when written; 0 when nobody has the server's id, and all of it was cleaned up

local lease = redis.call('HMGET', KEYS[1], 'inst', 'status')
if not (lease[1] or lease[2]) then return 0 end
for i = 2, #ARGV do
    if redis.call('SADD', KEYS[2], ARGV[i]) == 1 then
        redis.call('SADD', KEYS[3], ARGV[i])
        redis.call('PEXPIRE', KEYS[3], ARGV[1])
    end
end
return 1
