#!lua flags=allow-oom
-- Purpose: ends those sessions of a user that are past their deadline, and writes down that it has to be told.
-- Why a script: the end and the note of it are one step: who dies after it has lost nothing.
-- KEYS: 1 the user's index · 2 its meta · 3 deadlines of the shard · 4 outbox of the shard
-- ARGV: 1 user's partition · 2 after how long somebody else publishes what we have not, ms; 0 for no events · 3 how long the outbox outlives what is in it, ms · 4 … handles
-- Returns: { how many were ended, entries of the outbox }
--
-- A deadline in the shard is the one that the session began with: use lengthens the one in the index only. Who is found alive gets his new one here, once in an idle time.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

local user
local ended = 0
local entries = {}
for i = 4, #ARGV do
  local handle = ARGV[i]
  local deadline = redis.call('ZSCORE', KEYS[1], handle)
  if not deadline then
    redis.call('ZREM', KEYS[3], ARGV[1] .. handle)
  elseif tonumber(deadline) > now then
    redis.call('ZADD', KEYS[3], deadline, ARGV[1] .. handle)
  else
    ended = ended + 1
    if ARGV[2] ~= '0' then
      user = user or redis.call('HGET', KEYS[2], 'user') or ''
      local created, device = string.match(redis.call('HGET', KEYS[2], handle) or '', '^(%d+),%d+,%d+,%d+,(.*)$')
      local entry = cjson.encode({ k = 'expired', r = 'expired', s = handle, u = user, t = text(now), c = created, d = device, l = text(now - deadline) })
      entries[#entries + 1] = entry
      redis.call('ZADD', KEYS[4], now + ARGV[2], entry)
    end
    redis.call('ZREM', KEYS[1], handle)
    redis.call('HDEL', KEYS[2], handle)
    redis.call('ZREM', KEYS[3], ARGV[1] .. handle)
  end
end
-- The last to go takes along what stood beside it.
if ended > 0 and redis.call('EXISTS', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[2]) end
if #entries > 0 and redis.call('PTTL', KEYS[4]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[4], ARGV[3]) end
return { ended, entries }
