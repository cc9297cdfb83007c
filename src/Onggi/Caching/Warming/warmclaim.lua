-- Purpose: says whether a warm-up has been run, and otherwise gives the one who asks the right to run it.
-- Why a script: of all who find the mark missing at the same moment one alone may run.
-- KEYS: 1 the mark · 2 the claim
-- ARGV: 1 who asks, never the same twice · 2 how long the claim stands without renewal, in ms · 3 the round that must have been run · 4 how long the mark lives, in ms
-- Returns: { code, ms left of another's claim, the round that the mark tells of, or -1 }
--   0 claimed · 1 it has been run · 2 another is at it
local round = tonumber(redis.call('GET', KEYS[1]) or '-1') or -1
if round >= tonumber(ARGV[3]) then
  -- The mark lives as long as anybody asks for it.
  if redis.call('PTTL', KEYS[1]) * 2 < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
  return { 1, 0, round }
end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return { 2, redis.call('PTTL', KEYS[2]), round } end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return { 0, 0, round }
