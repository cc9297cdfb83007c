-- Purpose: reads entries and what is left of their lives.
-- Why a script: a value and the end of another must not be put together.
-- KEYS: entries
-- ARGV: none
-- Returns: for each { value or false, ms left, -3 for a key of another type }
local replies = {}
for i = 1, #KEYS do
  local value = redis.pcall('GET', KEYS[i])
  local left = -3
  if type(value) ~= 'table' then
    left = redis.call('PTTL', KEYS[i])
  elseif not string.find(value.err, 'WRONGTYPE', 1, true) then
    return value
  else
    value = false
  end
  replies[i] = { value, left }
end
return replies
