-- SPDX-License-Identifier: MIT
--
-- Has servers cleaned up after once more that are not registered: by a lease that has ended.
--
-- KEYS[1] servers  hash  id -> entry
-- KEYS[2] leases   zset  id -> end of its lease, Unix milliseconds
-- ARGV[1…] ids
-- Reply   how many got such a lease

local count = 0
for _, id in ipairs(ARGV) do
    if not redis.call('HGET', KEYS[1], id) and not redis.call('ZSCORE', KEYS[2], id) then
        count = count + redis.call('ZADD', KEYS[2], 0, id)
    end
end
return count
