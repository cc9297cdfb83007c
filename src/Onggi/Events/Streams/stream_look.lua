-- Purpose: tells which of the messages just taken are done already, and removes marks from before the group was told to begin again.
-- Why a script: between looking at an old mark and removing it, a new one may be set.
-- KEYS: 1 when the group was last told to begin again, STRING µs · 2… the marks of the messages
-- ARGV: none
-- Returns: { the server's time in µs, for each mark 1 when it stands, else 0 }
--
-- A mark begins with the server's time at which it was set. What is not newer than the replay counts for nothing: the replay is there so
-- that the work is done again.
local time = redis.call('TIME')
local again = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
local answer = { time[1] * 1000000 + time[2] }
for i = 2, #KEYS do
  local mark = redis.call('GET', KEYS[i])
  if mark and (tonumber(string.match(mark, '^%d+')) or 0) <= again then
    redis.call('DEL', KEYS[i])
    mark = false
  end
  answer[i] = mark and 1 or 0
end
return answer
