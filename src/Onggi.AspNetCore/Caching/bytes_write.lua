-- Purpose: writes an entry with its sliding life.
-- Why a script: an entry without the life that belongs to it would end too early, or be lengthened by the rules of the one before.
-- KEYS: 1 entry · 2 its sliding life
-- ARGV: 1 value · 2 how long it lives unless it is read, ms · 3 how long it lives from each read, ms; 0 for a fixed end · 4 when it ends in any case, ms from now; 0 for never
-- Returns: 1
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ends = string.format('%.0f', now + ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ends)
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[2])
else
  local last = ARGV[4] == '0' and '0' or string.format('%.0f', now + ARGV[4])
  redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. last, 'PXAT', ends)
end
return 1
