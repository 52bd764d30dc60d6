-- SPDX-License-Identifier: MIT
--
-- Gives an office back, while the candidate holds it.
--
-- KEYS[1] elect  hash  owner, token
-- ARGV[1] candidate
-- Reply   1 when it was given back; 0 when the term has ended, or is another's

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
