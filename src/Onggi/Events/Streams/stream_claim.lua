#!lua flags=allow-oom
-- Purpose: takes for one consumer the retries that are due, and the messages whose consumer has died.
-- Why a script: who looks and then claims, races another who does the same; and a message that waits for its retry looks abandoned and is not.
-- KEYS: 1 stream · 2 retries, ZSET id -> when due in ms
-- ARGV: 1 group · 2 consumer · 3 after how many ms without a sign a message counts as abandoned · 4 how many at most · 5 where the last look for them ended, '-' for the beginning
-- Returns: { where to look on, ms until the next retry is due or -1, how many messages were gone from the stream, how many of those taken were abandoned, { id, deliveries, { field, value … } } … }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = tonumber(ARGV[4])
local answer = { ARGV[5], -1, 0, 0 }

local function take(id)
  local state = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if not state then
    return false
  end
  local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id)[1]
  if not entry then
    redis.call('XACK', KEYS[1], ARGV[1], id)
    answer[3] = answer[3] + 1
    return false
  end
  answer[#answer + 1] = { id, state[4] + 1, entry[2] }
  return true
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, most)) do
  redis.call('ZREM', KEYS[2], id)
  take(id)
end

if #answer - 4 < most then
  local page = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], ARGV[5], '+', 100)
  answer[1] = '-'
  for i, state in ipairs(page) do
    if #answer - 4 >= most then
      break
    end
    if not redis.call('ZSCORE', KEYS[2], state[1]) and take(state[1]) then
      answer[4] = answer[4] + 1
    end
    if i < #page or #page == 100 then
      answer[1] = '(' .. state[1]
    else
      answer[1] = '-'
    end
  end
end

local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if first[2] then
  answer[2] = math.max(0, tonumber(first[2]) - now)
end
return answer
