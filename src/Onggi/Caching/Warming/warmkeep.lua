-- Purpose: lengthens the claim to a warm-up, or gives it back.
-- Why a script: only the holder may do either.
-- KEYS: 1 the claim
-- ARGV: 1 the holder · 2 how long it stands from now on, in ms; 0 to give it back
-- Returns: 1 done · 0 it is no longer ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
