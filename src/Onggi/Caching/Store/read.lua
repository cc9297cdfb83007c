#!lua flags=no-writes
-- Purpose: reads entries and what is left of their lives.
-- Why a script: a value and the end of another must not be put together.
-- KEYS: entries
-- ARGV: none; or for each entry: when its epoch began, ms, with the allowed skew, 0 to believe every value; its whole life in ms; the life of a "not found" in ms
-- Returns: for each { value or false, ms left, -3 for a key of another type }
--
-- What was not surely written in this epoch counts as absent, by the rule of ask.lua.
local now = -1
local function time()
  if now < 0 then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return now
end

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
  local began = tonumber(ARGV[3 * i - 2] or '0')
  if value and began > 0 then
    local life = tonumber(ARGV[value == 'null' and 3 * i or 3 * i - 1])
    if left < 0 or left > life or time() - (life - left) < began then
      value = false
      left = -2
    end
  end
  replies[i] = { value, left }
end
return replies
