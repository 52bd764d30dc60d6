-- Gives a user id back, if this owner still holds it.
--
-- KEYS[1]  the binding: hash {sid, inst, session, tok}
-- ARGV[1]  server id   ARGV[2]  instance, or "*" for any of that server
--
-- Reply: 1 when the binding was removed, else 0
local held = redis.call('HMGET', KEYS[1], 'sid', 'inst')
if held[1] == ARGV[1] and (ARGV[2] == '*' or held[2] == ARGV[2]) then
  redis.call('UNLINK', KEYS[1])
  return 1
end
return 0
