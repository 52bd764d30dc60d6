-- SPDX-License-Identifier: MIT
--
-- Ends a clean-up: removes the lease hash and gives the token back, while it is still ours.
--
-- An instance that was taken for gone and is not sees the missing hash, and publishes all it has again.
--
-- KEYS[1] reap   string  token of who cleans up
-- KEYS[2] lease  hash    inst, seq
-- ARGV[1] our token
-- ARGV[2] the instance whose hash it is from now on, or ""
-- Reply   1 when done; 0 when the token has ended or is another's

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[2], 'inst', ARGV[2]) end
return redis.call('DEL', KEYS[1])
