-- SPDX-License-Identifier: MIT
--
-- Tells whether a server is still the given instance and its lease has ended.
--
-- KEYS[1] servers  hash  id -> entry
-- KEYS[2] leases   zset  id -> end of its lease, Unix milliseconds
-- ARGV[1] id
-- ARGV[2] entry as it was read before, or "" when there was none
-- Reply   1 when nothing has changed and the lease has ended; else 0

if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
local lease = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not lease then return 0 end
local time = redis.call('TIME')
if tonumber(lease) > time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
return 1
