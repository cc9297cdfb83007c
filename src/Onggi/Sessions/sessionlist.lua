#!lua flags=no-writes
-- Purpose: lists the live sessions of a user.
-- Why a script: index and meta must be of one moment, and what is past its deadline is judged by the server's clock.
-- KEYS: 1 the user's index · 2 its meta
-- ARGV: none
-- Returns: { handle, deadline, created, last seen, device, handle, … }, the next to end first
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local live = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf', 'WITHSCORES')
local list = {}
for i = 1, #live, 2 do
  local created, seen, device = string.match(redis.call('HGET', KEYS[2], live[i]) or '', '^(%d+),%d+,%d+,(%d+),(.*)$')
  if created then
    list[#list + 1] = live[i]
    list[#list + 1] = tonumber(live[i + 1])
    list[#list + 1] = tonumber(created)
    list[#list + 1] = tonumber(seen)
    list[#list + 1] = device
  end
end
return list
