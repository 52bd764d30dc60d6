-- SPDX-License-Identifier: MIT
--
-- Writes users into the index of a server that somebody has, for whom there is an entry that it may not name: a node of
-- a cluster went back in time.
--
-- KEYS[1] lease  hash  inst, status = <instance>/<sequence>
-- KEYS[2] uids   set   of user ids that the server published or claimed
-- ARGV[1…]       user ids
-- Reply   1 when written; 0 when nobody has the server's id, and all of it was cleaned up

local lease = redis.call('HMGET', KEYS[1], 'inst', 'status')
if not (lease[1] or lease[2]) then return 0 end
redis.call('SADD', KEYS[2], unpack(ARGV))
return 1
