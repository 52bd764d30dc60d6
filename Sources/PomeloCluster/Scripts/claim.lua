-- SPDX-License-Identifier: MIT
--
-- Makes the hash that hangs on a server's lease its instance's own.
--
-- One of another instance is what a former one left, or what a Redis of yesterday still holds: all of it goes.
--
-- KEYS[1] lease  hash  inst, seq
-- ARGV[1] inst
-- Reply   1 when it was its own already; 0 when it was missing, or another's, and has been made anew

if redis.call('HGET', KEYS[1], 'inst') == ARGV[1] then return 1 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'inst', ARGV[1])
return 0
