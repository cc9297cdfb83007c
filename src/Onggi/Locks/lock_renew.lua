-- Purpose: lengthens the lease of a lock.
-- Why a script: only the holder may do it. What is gone is never made again: in between another can have held it.
-- KEYS: 1 lock
-- ARGV: 1 owner|fence · 2 the lease in ms
-- Returns: 1 done · 0 it is no longer ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
