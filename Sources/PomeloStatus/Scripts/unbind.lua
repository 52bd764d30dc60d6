-- SPDX-License-Identifier: MIT
--
-- Gives a user id back, if the given instance of a server still holds it: for a cluster, where the mark of the instance
-- is in another slot and was looked at before.
--
-- KEYS[1] bind   hash  sid, inst, session, tok
-- ARGV[1] server id   ARGV[2] inst
-- Reply   the instance of that server which holds the user id yet, or ""

local held = redis.call('HMGET', KEYS[1], 'sid', 'inst')
if held[1] ~= ARGV[1] then return '' end
if held[2] ~= ARGV[2] then return held[2] or '' end
redis.call('UNLINK', KEYS[1])
return ''
