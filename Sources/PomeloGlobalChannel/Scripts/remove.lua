-- SPDX-License-Identifier: MIT
--
-- Removes channels of a server whose state is cleaned up, unless another instance has its id by now.
--
-- KEYS[1] lease     hash  inst, seq = <instance>/<sequence>
-- KEYS[2] channels  set   of the names of channels with members here
-- KEYS[3…]          set   of user ids, one key per channel
-- ARGV[1] inst the clean-up is for
-- ARGV[2…] names of the channels
-- Reply   {1} when removed; {0, inst} of the instance that has the id

local held = redis.call('HMGET', KEYS[1], 'inst', 'seq')
local mark = held[1] or held[2] and string.match(held[2], '^(.*)/')
if mark and mark ~= ARGV[1] then return {0, mark} end

for i = 3, #KEYS do
    redis.call('UNLINK', KEYS[i])
    redis.call('SREM', KEYS[2], ARGV[i - 1])
end
return {1}
