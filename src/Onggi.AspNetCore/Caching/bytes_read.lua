-- Purpose: reads an entry, and begins its sliding life anew.
-- Why a script: the new end follows from what stands beside the value and from the server's clock; asking for that first would be a second round trip.
-- KEYS: 1 entry · 2 its sliding life, "span last" in ms: how long it lives from each read, and when it ends in any case (0: never)
-- ARGV: 1: 1 to get the value, 0 only to lengthen its life
-- Returns: the value (1 where it is not wanted); nothing when there is none
--
-- Both keys always end at the same millisecond. Where they do not, somebody else has written the entry, and its life is not ours to lengthen.
-- A key of another type is as good as none: the next write replaces it.
local value
if ARGV[1] == '1' then
  value = redis.pcall('GET', KEYS[1])
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
    return false
  end
else
  value = redis.call('EXISTS', KEYS[1]) == 1 and 1
end
if not value then return false end
local sliding = redis.call('GET', KEYS[2])
if sliding then
  local ends = redis.call('PEXPIRETIME', KEYS[1])
  if ends > 0 and ends == redis.call('PEXPIRETIME', KEYS[2]) then
    local span, last = string.match(sliding, '^(%d+) (%d+)$')
    local t = redis.call('TIME')
    local new = t[1] * 1000 + math.floor(t[2] / 1000) + span
    last = tonumber(last)
    if last > 0 and new > last then new = last end
    if new > ends then
      new = string.format('%.0f', new)
      redis.call('PEXPIREAT', KEYS[1], new)
      redis.call('PEXPIREAT', KEYS[2], new)
    end
  end
end
return value
