-- SPDX-License-Identifier: MIT
--
-- Writes changes of a server's channels and their sequence, unless another instance has the server's id.
--
-- KEYS[1] lease     hash  inst, seq = <instance>/<sequence>, channels = how many the index has
-- KEYS[2] channels  set   of the names of channels with members here
-- KEYS[3…]          set   of user ids, one key per change
-- ARGV[1] inst of the server that writes
-- ARGV[2] sequence
-- ARGV[3…] per change: name, 1 to replace all members, 1 when nobody is left, how many are added, how many removed,
--          the added, the removed
-- A key of another kind hinders no other channel, but the sequence is not written then.
--
-- Reply   {1, seq as it was or false, number of members per change}; {0, inst} of the instance that has the id

local held = redis.call('HMGET', KEYS[1], 'inst', 'seq')
local mark = held[1] or held[2] and string.match(held[2], '^(.*)/')
if mark and mark ~= ARGV[1] then return {0, mark} end

local failure
local function call(...)
    local done = redis.pcall(...)
    if type(done) == 'table' and done.err then failure = done end
    return done
end
local reply = {1, held[2]}
local at = 3
local function each(command, key, count)
    for first = at, at + count - 1, 512 do
        call(command, key, unpack(ARGV, first, math.min(first + 511, at + count - 1)))
    end
    at = at + count
end
for i = 3, #KEYS do
    local name, replaces, ends = ARGV[at], ARGV[at + 1] == '1', ARGV[at + 2] == '1'
    local added, removed = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    at = at + 5
    if replaces then redis.call('UNLINK', KEYS[i]) end
    if added > 0 then redis.call('SADD', KEYS[2], name) end
    each('SADD', KEYS[i], added)
    each('SREM', KEYS[i], removed)
    table.insert(reply, call('SCARD', KEYS[i]))
    if ends then
        -- Together: a key that older data brought back would not be found again without its name.
        redis.call('UNLINK', KEYS[i])
        redis.call('SREM', KEYS[2], name)
    end
end
if failure then return failure end
redis.call('HSET', KEYS[1], 'seq', ARGV[1] .. '/' .. ARGV[2], 'channels', redis.call('SCARD', KEYS[2]))
return reply
