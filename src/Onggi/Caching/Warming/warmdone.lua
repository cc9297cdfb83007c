-- Purpose: marks a warm-up as run.
-- Why a script: only who holds the claim may say so. When Redis was emptied meanwhile the claim is gone, and with it a part of what was stored: then there is no mark.
-- KEYS: 1 the mark · 2 the claim
-- ARGV: 1 the holder · 2 the round that was run · 3 how long the mark lives, in ms
-- Returns: 1 done · 0 it is no longer ours
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
