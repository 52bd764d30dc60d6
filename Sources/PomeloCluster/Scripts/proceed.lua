-- SPDX-License-Identifier: MIT
--
-- Renews the clean-up token of a server, while it is still ours.
--
-- KEYS[1] reap  string  token of who cleans up
-- ARGV[1] our token
-- ARGV[2] milliseconds that it lives on
-- Reply   1 when renewed; 0 when it has ended or is another's

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
