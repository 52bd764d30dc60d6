-- SPDX-License-Identifier: MIT
--
-- Changes the registry of plugins if nobody has changed it since it was read: all of it or nothing.
--
-- Epochs only rise, also over a Redis that has lost its data: none is smaller than the time.
--
-- KEYS[1] plug   hash    what there is, a field each
-- KEYS[2] epoch  string  of the last change
-- KEYS[3] hint   channel
-- ARGV[1] the epoch that was read, or "" to change whatever there is
-- ARGV[2] field, ARGV[3] its value or "" to delete it, and so on
-- Reply   {1, new epoch} when changed; {0, present epoch} when somebody else was first

local epoch = redis.call('GET', KEYS[2]) or '0'
if ARGV[1] ~= '' and ARGV[1] ~= epoch then return {0, epoch} end
for i = 2, #ARGV, 2 do
    if ARGV[i + 1] == '' then
        redis.call('HDEL', KEYS[1], ARGV[i])
    else
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    end
end
local time = redis.call('TIME')
local next = math.max((tonumber(epoch) or 0) + 1, time[1] * 1000 + math.floor(time[2] / 1000))
local text = string.format('%.0f', next)
redis.call('SET', KEYS[2], text)
redis.call('PUBLISH', KEYS[3], text)
return {1, text}
