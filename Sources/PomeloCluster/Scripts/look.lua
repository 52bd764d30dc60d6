-- SPDX-License-Identifier: MIT
--
-- The look that every server takes twice a second: has the registry changed, and whose lease has ended?
--
-- KEYS[1] leases  zset    id -> end of its lease, Unix milliseconds
-- KEYS[2] epoch   counter
-- KEYS[3] born    string  when this registry began, Unix milliseconds
-- ARGV[1] the most ids to answer
-- Reply   {epoch, number of leases, number of those that ended, born or "", id, id, …}, the longest ended first

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = {
    tonumber(redis.call('GET', KEYS[2]) or 0),
    redis.call('ZCARD', KEYS[1]),
    redis.call('ZCOUNT', KEYS[1], '-inf', now),
    redis.call('GET', KEYS[3]) or '',
}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
    table.insert(reply, id)
end
return reply
