-- SPDX-License-Identifier: MIT
--
-- Begins a clean-up, while the token is ours: marks the lease hash with the instance it is for.
--
-- What hangs on a lease is written and removed only under the mark of the instance that it is of. So what an earlier
-- cleaner or an earlier instance that wakes up late sends after this has no effect.
--
-- KEYS[1] reap   string  token of who cleans up
-- KEYS[2] lease  hash    inst, seq
-- ARGV[1] our token
-- ARGV[2] the instance that is gone, or our own
-- Reply   1 when marked; 0 when the token has ended or is another's

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'inst', ARGV[2])
return 1
