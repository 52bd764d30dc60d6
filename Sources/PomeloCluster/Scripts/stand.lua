-- SPDX-License-Identifier: MIT
--
-- Stands for an office: takes it when nobody holds it, or renews the term of who does.
--
-- Tokens only rise: above all there were, and above those that others have met. They are no smaller than the time, so
-- that a counter that was lost does not begin anew.
--
-- KEYS[1] elect  hash    owner, token; lives as long as the term
-- KEYS[2] fence  string  the last token
-- ARGV[1] candidate
-- ARGV[2] length of the term in milliseconds
-- ARGV[3] the highest token that the candidate knows of
-- Reply   {1, token} when it holds the office; {0, token, holder} when another one does

local owner, token = unpack(redis.call('HMGET', KEYS[1], 'owner', 'token'))
token = tonumber(token or 0) or 0
if owner and owner ~= ARGV[1] then
    -- A term without an end would never be anybody else's.
    if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return {0, token, owner}
end

local known = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) or 0, tonumber(ARGV[3]))
if not owner or token < known then
    local time = redis.call('TIME')
    token = math.max(known + 1, time[1] * 1000 + math.floor(time[2] / 1000))
end
local text = string.format('%.0f', token)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', text)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], text)
return {1, token}
