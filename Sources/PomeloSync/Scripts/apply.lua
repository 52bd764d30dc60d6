-- SPDX-License-Identifier: MIT
--
-- Writes a value unless a later one is there already.
--
-- KEYS[1] hash  value, version, server
-- ARGV[1] value   ARGV[2] number of the version, 20 digits: a number of Lua would round it   ARGV[3] its server
-- Reply   1 when written; 0 when the value there is later, or the same

local there = redis.call('HMGET', KEYS[1], 'version', 'server')
local number, server = there[1] or '', there[2] or ''
if number > ARGV[2] or number == ARGV[2] and server >= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'value', ARGV[1], 'version', ARGV[2], 'server', ARGV[3])
return 1
