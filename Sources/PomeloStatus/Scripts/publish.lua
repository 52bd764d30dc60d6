-- SPDX-License-Identifier: MIT
--
-- Publishes who is, and who is no longer, connected to a server, unless another instance has the server's id.
--
-- KEYS[1] lease    hash  inst, status = <instance>/<sequence>, users = how many the index has
-- KEYS[2] revoked  set   of user ids whose binding the server may have lost without having been asked
-- KEYS[3] uids     set   of user ids that the server published
-- KEYS[4…]         set   of server ids, one key per user: first those who are online, then the others; none in a
--                        cluster, where they are in other slots: the caller writes them before the sequence
-- ARGV[1] inst     ARGV[2] sequence, or "" to write none yet   ARGV[3] server id   ARGV[4…] user ids of those who are online
-- A key of another kind hinders no other user, but the sequence is not written then.
--
-- Reply   {1, status as it was or false, revoked user id, …}; {0, inst} of the instance that has the id

local held = redis.call('HMGET', KEYS[1], 'inst', 'status')
local mark = held[1] or held[2] and string.match(held[2], '^(.*)/')
if mark and mark ~= ARGV[1] then return {0, mark} end

local online = #ARGV - 3
if online > 0 then redis.call('SADD', KEYS[3], unpack(ARGV, 4)) end
local failure
for i = 4, #KEYS do
    local done = redis.pcall(i - 3 <= online and 'SADD' or 'SREM', KEYS[i], ARGV[3])
    if type(done) == 'table' and done.err then failure = done end
end
if failure then return failure end
local reply = {1, held[2]}
for _, uid in ipairs(redis.call('SSCAN', KEYS[2], '0', 'COUNT', 500)[2]) do table.insert(reply, uid) end
if ARGV[2] == '' then return reply end
redis.call('HSET', KEYS[1], 'status', ARGV[1] .. '/' .. ARGV[2], 'users', redis.call('SCARD', KEYS[3]))
return reply
