-- Purpose: reads entries and what is left of their lives.
-- Why a script: a value and the end of another must not be put together.
-- KEYS: entries
-- ARGV: none
-- Returns: for each { value or false, ms left }
local replies = {}
for i = 1, #KEYS do
  local value = redis.pcall('GET', KEYS[i])
  if type(value) == 'table' then value = false end
  replies[i] = { value, redis.call('PTTL', KEYS[i]) }
end
return replies
