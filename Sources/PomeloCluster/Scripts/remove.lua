-- SPDX-License-Identifier: MIT
--
-- Removes a server, if it is still the given instance: because it leaves, or because its lease has ended.
--
-- KEYS[1] servers  hash    id -> entry
-- KEYS[2] leases   zset    id -> end of its lease, Unix milliseconds
-- KEYS[3] epoch    counter
-- KEYS[4] ev       stream  of changes
-- KEYS[5] hint     channel
-- ARGV[1] id
-- ARGV[2] inst that must hold the id; "" for an entry that is missing or unreadable
-- ARGV[3] reason: "left", or "expired", which also demands that the lease has ended
-- Reply   1 when removed; 0 when there was nothing to remove, another instance holds the id, or the lease lives

local current = redis.call('HGET', KEYS[1], ARGV[1])
local holder = current and instance(current) or ''
if holder ~= ARGV[2] then return 0 end

local lease = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not current and not lease then return 0 end
if ARGV[3] == 'expired' and lease then
    local time = redis.call('TIME')
    if tonumber(lease) > time[1] * 1000 + math.floor(time[2] / 1000) then return 0 end
end

redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local epoch = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*',
    'e', epoch, 'op', 'remove', 'id', ARGV[1], 'inst', ARGV[2], 'reason', ARGV[3])
redis.call('PUBLISH', KEYS[5], epoch)
return 1
