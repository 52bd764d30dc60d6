-- SPDX-License-Identifier: MIT
--
-- Renews a lease, and says how the registry's entry compares with the server's own.
--
-- KEYS[1] servers  hash  id -> entry
-- KEYS[2] leases   zset  id -> end of its lease, Unix milliseconds
-- ARGV[1] id
-- ARGV[2] entry as its server knows it
-- ARGV[3] inst of the entry
-- ARGV[4] length of the lease in milliseconds
-- Reply   "renewed"; "differs": renewed, but the entry is another text; "missing": no entry; "taken": of another inst

local current = redis.call('HGET', KEYS[1], ARGV[1])
local holder = current and instance(current) or ''
if holder == '' then return 'missing' end
if holder ~= ARGV[3] then return 'taken' end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
return current == ARGV[2] and 'renewed' or 'differs'
