-- Purpose: keeps a place that is still used.
-- Why a script: its end is counted by the server's clock, and a place that is gone must not come back.
-- KEYS: 1 the places that are taken, ZSET place -> its end in ms
-- ARGV: 1 place · 2 for how many ms more
-- Returns: 1 kept · 0 it is gone
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
