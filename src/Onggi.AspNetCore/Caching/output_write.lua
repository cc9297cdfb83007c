-- Purpose: stores a response and enters it under its tags, unless one of them was evicted since the making of the response began.
-- Why a script: between the look at the tags and the writing an eviction could pass, and the old response would stay.
-- KEYS: 1 tag · 2 when it was evicted · 3 tag · 4 when it was evicted … · last, where their number is odd: the response
-- ARGV: 1 name of the response · 2 its life in ms · 3 when its making began, microseconds; 0 for unknown · 4 the response, where it is among the keys
-- Returns: 1 done · 0 a tag was evicted, nothing is stored
--
-- A tag is a sorted set of names by the microsecond at which they end. On a cluster the script is called for each tag by itself: a script cannot span slots.
local count = #KEYS - #KEYS % 2
local began = tonumber(ARGV[3])
if began > 0 then
  for i = 2, count, 2 do
    local evicted = redis.call('GET', KEYS[i])
    if evicted and tonumber(evicted) >= began then return 0 end
  end
end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local ends = now + ARGV[2] * 1000
if #KEYS > count then redis.call('SET', KEYS[#KEYS], ARGV[4], 'PX', ARGV[2]) end
for i = 1, count, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now))
  redis.call('ZADD', KEYS[i], string.format('%.0f', ends), ARGV[1])
  local last = math.ceil(ends / 1000)
  if redis.call('PEXPIRETIME', KEYS[i]) < last then redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', last)) end
end
return 1
