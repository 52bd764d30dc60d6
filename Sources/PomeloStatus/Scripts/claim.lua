-- SPDX-License-Identifier: MIT
--
-- Claims a user id for one session, cluster-wide, unless another instance has the id of the session's server.
--
-- A session that holds it already gets a new token: a claim by the token before it is then too late.
--
-- KEYS[1] bind   hash  sid, inst, session, tok
-- KEYS[2] lease  hash  inst, status = <instance>/<sequence>
-- KEYS[3] uids   set   of user ids that the server published or claimed
--                      These two are in another slot of a cluster, and not given there: the caller looks at the mark
--                      and writes the index before, and looks once more after it.
-- ARGV[1] server id   ARGV[2] inst   ARGV[3] session
-- ARGV[4] token of a holder that the caller found gone, or ""
-- ARGV[5] user id
-- Reply   {1, tok} when claimed; {0, tok, sid, inst, session} when held by another; {-1, inst} of the instance that
--         has the server's id

if KEYS[2] then
    local lease = redis.call('HMGET', KEYS[2], 'inst', 'status')
    local mark = lease[1] or lease[2] and string.match(lease[2], '^(.*)/')
    if mark and mark ~= ARGV[2] then return {-1, mark} end
    -- Also when it is refused: what the index does not name would outlive the server, and the caller gives it back.
    redis.call('SADD', KEYS[3], ARGV[5])
end
local held = redis.call('HMGET', KEYS[1], 'sid', 'inst', 'session', 'tok')
local ours = held[1] == ARGV[1] and held[2] == ARGV[2] and held[3] == ARGV[3]
if held[1] and not ours and held[4] ~= ARGV[4] then
    return {0, held[4], held[1], held[2], held[3]}
end
-- Redis time keeps tokens growing also after the hash was deleted or rolled back.
local time = redis.call('TIME')
local token = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), (tonumber(held[4] or '0') or 0) + 1)
local text = string.format('%.0f', token)
redis.call('HSET', KEYS[1], 'sid', ARGV[1], 'inst', ARGV[2], 'session', ARGV[3], 'tok', text)
return {1, text}
