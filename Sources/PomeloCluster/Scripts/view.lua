-- SPDX-License-Identifier: MIT
--
-- Reads the whole registry at one instant, and where in the stream of changes that instant is.
--
-- An entry whose lease was lost (a replica that lagged became master) gets a new one, so that it can end.
--
-- KEYS[1] servers  hash    id -> entry
-- KEYS[2] leases   zset    id -> end of its lease, Unix milliseconds
-- KEYS[3] epoch    counter
-- KEYS[4] ev       stream  of changes
-- KEYS[5] born     string  when this registry began, Unix milliseconds
-- ARGV[1] length of a lease in milliseconds
-- Reply   {epoch, id of the stream's last entry or "0-0", born or "", server id, entry, server id, entry, …}

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
local reply = {
    tonumber(redis.call('GET', KEYS[3]) or 0),
    last[1] and last[1][1] or '0-0',
    redis.call('GET', KEYS[5]) or '',
}
local leased = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do leased[id] = true end
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
    if not leased[entries[i]] then
        redis.call('ZADD', KEYS[2], now + ARGV[1], entries[i])
    end
    table.insert(reply, entries[i])
    table.insert(reply, entries[i + 1])
end
return reply
