-- SPDX-License-Identifier: MIT
--
-- Removes status and bindings of a server whose state is cleaned up, unless another instance has its id by now.
--
-- KEYS[1] lease    hash  inst, status = <instance>/<sequence>
-- KEYS[2] revoked  set   of user ids whose binding the server may have lost without having been asked
-- KEYS[3] uids     set   of user ids that the server published or claimed
-- KEYS[4…]         two keys per user: bind, hash {sid, inst, session, tok}; and status, set of server ids; none in a
--                  cluster, where they are in other slots: the caller has removed them
-- ARGV[1] server id   ARGV[2] inst the clean-up is for   ARGV[3…] user ids
-- Reply   {1} when removed; {0, inst} of the instance that has the id

local lease = redis.call('HMGET', KEYS[1], 'inst', 'status')
local mark = lease[1] or lease[2] and string.match(lease[2], '^(.*)/')
if mark and mark ~= ARGV[2] then return {0, mark} end

for i = 3, #ARGV do
    local bind, status = KEYS[2 * i - 2], KEYS[2 * i - 1]
    if bind then
        local held = redis.call('HMGET', bind, 'sid', 'inst')
        -- Under its mark all of the server is this instance's or an earlier one's; without a mark nobody knows.
        if held[1] == ARGV[1] and (mark or held[2] == ARGV[2]) then redis.call('UNLINK', bind) end
        redis.call('SREM', status, ARGV[1])
    end
    redis.call('SREM', KEYS[3], ARGV[i])
end
redis.call('UNLINK', KEYS[2])
return {1}
