-- Purpose: gives a lock back, and wakes those that wait for it.
-- Why a script: only the holder may do it, and the wake-up must not overtake it.
-- KEYS: 1 lock
-- ARGV: 1 owner · 2 the channel of those that wait
-- Returns: 1 given back · 2 nobody holds it (also when it is given back twice) · 0 another holds it
local held = redis.call('GET', KEYS[1])
if not held then
  return 2
end
if string.match(held, '^(.*)|%d+$') ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
-- Where the channel is not allowed, the lock is free all the same; who waits asks by the clock.
redis.pcall('SPUBLISH', ARGV[2], '1')
return 1
