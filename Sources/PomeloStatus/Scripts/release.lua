-- SPDX-License-Identifier: MIT
--
-- Gives user ids back that an instance, or one before it, still holds, and takes them out of its server's index, which goes last.
--
-- KEYS[1] lease  hash  inst, status = <instance>/<sequence>, users = how many the index has
-- KEYS[2] uids   set   of user ids that the server published or claimed
-- KEYS[3…] bind  hash  sid, inst, session, tok; one key per user; none in a cluster, where they are in other slots
-- ARGV[1] server id   ARGV[2] inst   ARGV[3…] user ids
-- Reply   how many bindings were removed; the index of another instance is left alone

local lease = redis.call('HMGET', KEYS[1], 'inst', 'status')
local mark = lease[1] or lease[2] and string.match(lease[2], '^(.*)/')
local removed = 0
for i = 3, #KEYS do
    local held = redis.call('HMGET', KEYS[i], 'sid', 'inst')
    -- Under our mark also an earlier instance's, which a Redis of yesterday brought back: nobody else would remove it.
    if held[1] == ARGV[1] and (held[2] == ARGV[2] or mark == ARGV[2]) then
        removed = removed + redis.call('UNLINK', KEYS[i])
    end
end
if mark and mark ~= ARGV[2] then return removed end
if #ARGV > 2 then redis.call('SREM', KEYS[2], unpack(ARGV, 3)) end
if lease[2] then redis.call('HSET', KEYS[1], 'users', redis.call('SCARD', KEYS[2])) end
return removed
