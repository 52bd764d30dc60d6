-- SPDX-License-Identifier: MIT
--
-- Writes a server's entry and lease: joins, takes over, changes its state, or comes back after Redis lost it; then
-- others may write it, as they knew it.
--
-- KEYS[1] servers      hash    id -> entry
-- KEYS[2] leases       zset    id -> end of its lease, Unix milliseconds
-- KEYS[3] epoch        counter
-- KEYS[4] ev           stream  of changes
-- KEYS[5] everServers  set     of ids
-- KEYS[6] hint         channel
-- KEYS[7] born         string  when this registry began, Unix milliseconds
-- ARGV[1] id
-- ARGV[2] entry, JSON with "inst"
-- ARGV[3] inst of the entry
-- ARGV[4] another inst that may be replaced, or ""
-- ARGV[5] length of the lease in milliseconds
-- ARGV[6] "missing": nothing is written over an entry, of whichever instance; or ""
-- Reply   {1, epoch} when written; {0, entry that stays, its inst} when another instance holds the id

local current = redis.call('HGET', KEYS[1], ARGV[1])
local holder = current and instance(current) or ''
if holder ~= '' and holder ~= ARGV[3] and holder ~= ARGV[4] then return {0, current, holder} end
if current and ARGV[6] == 'missing' then return {0, current, holder} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[7], now, 'NX')
redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[1])
redis.call('SADD', KEYS[5], ARGV[1])
if current == ARGV[2] then return {1, tonumber(redis.call('GET', KEYS[3]) or 0)} end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local epoch = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*',
    'e', epoch, 'op', 'put', 'id', ARGV[1], 'inst', ARGV[3], 'entry', ARGV[2])
redis.call('PUBLISH', KEYS[6], epoch)
return {1, epoch}
