#!lua flags=allow-oom
-- Purpose: what is due in a shard: sessions past their deadline, and events whose publisher has not confirmed them.
-- Why a script: due is what the server's clock says; and of the nodes that look, one must get an event to publish.
-- KEYS: 1 deadlines of the shard · 2 its outbox
-- ARGV: 1 the most of each · 2 after how long an event that is handed out now is handed out again, ms
-- Returns: { sessions (partition and handle), events to publish again, ms until something is due (-1 for nothing), sessions in the shard }
--
-- allow-oom: handing an event out only changes its score.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local entries = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, entry in ipairs(entries) do redis.call('ZADD', KEYS[2], now + ARGV[2], entry) end

local left = -1
for i = 1, 2 do
  local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  if first[2] then
    local wait = math.max(0, tonumber(first[2]) - now)
    if left < 0 or wait < left then left = wait end
  end
end
return { due, entries, left, redis.call('ZCARD', KEYS[1]) }
