-- Purpose: begins a session, and ends others of the same user where there would be more than may be.
-- Why a script: between counting and adding, other logins of the same user would count too: all of them would find room.
-- KEYS: 1 session · 2 the user's index · 3 its meta · 4 deadlines of the shard · 5 outbox of the shard
-- ARGV: 1 handle · 2 user's partition · 3 user · 4 roles, JSON · 5 device · 6 data · 7 idle ms · 8 whole life ms · 9 most sessions, 0 for no limit · 10 reject, oldest or leastRecent
--       · 11 how long what stands beside a session outlives it, ms · 12 after how long somebody else publishes what we have not, ms; 0 for no events
-- Returns: { 1 begun or 0 rejected, deadline, live sessions, handles that were ended, entries of the outbox }
--
-- Asked again after a lost reply it says the same and changes nothing. What is past its deadline does not count, and is left to the sweeper. Refused when memory is full.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

local live = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(now), '+inf')
local again = redis.call('ZSCORE', KEYS[2], ARGV[1])
if again then return { 1, tonumber(again), #live, {}, {} } end

local limit = tonumber(ARGV[9])
local need = limit > 0 and #live - limit + 1 or 0
if need > 0 and ARGV[10] == 'reject' then return { 0, 0, #live, {}, {} } end

local entries = {}
local function tell(entry)
  if ARGV[12] == '0' then return end
  entry = cjson.encode(entry)
  entries[#entries + 1] = entry
  redis.call('ZADD', KEYS[5], now + ARGV[12], entry)
end

local ended = {}
if need > 0 then
  local sessions = {}
  for i, handle in ipairs(live) do
    local meta = redis.call('HGET', KEYS[3], handle) or ''
    local created, seen, device = string.match(meta, '^(%d+),%d+,%d+,(%d+),(.*)$')
    sessions[i] = { handle = handle, created = created or '0', device = device, order = tonumber(ARGV[10] == 'oldest' and created or seen) or 0 }
  end
  table.sort(sessions, function(a, b)
    if a.order == b.order then return a.handle < b.handle end
    return a.order < b.order
  end)
  for i = 1, need do
    local gone = sessions[i]
    ended[i] = gone.handle
    redis.call('ZREM', KEYS[2], gone.handle)
    redis.call('HDEL', KEYS[3], gone.handle)
    redis.call('ZREM', KEYS[4], ARGV[2] .. gone.handle)
    tell({ k = 'revoked', r = 'limit', s = gone.handle, u = ARGV[3], t = text(now), c = gone.created, d = gone.device })
  end
end

local ends = now + ARGV[8]
local deadline = math.min(now + ARGV[7], ends)
redis.call('HSET', KEYS[1], 'version', 1, 'user', ARGV[3], 'roles', ARGV[4], 'data', ARGV[6])
redis.call('PEXPIREAT', KEYS[1], text(deadline))
redis.call('ZADD', KEYS[2], deadline, ARGV[1])
redis.call('HSET', KEYS[3], 'user', ARGV[3], ARGV[1], text(now) .. ',' .. text(ends) .. ',' .. ARGV[7] .. ',' .. text(now) .. ',' .. ARGV[5])
redis.call('ZADD', KEYS[4], deadline, ARGV[2] .. ARGV[1])
tell({ k = 'created', r = 'signed_in', s = ARGV[1], u = ARGV[3], t = text(now), c = text(now), d = ARGV[5] })

-- No key without an end; what stands beside a session outlives it, so that its expiry is noticed however late somebody looks.
local keep = ends - now + ARGV[11]
for i = 2, 5 do
  if redis.call('PTTL', KEYS[i]) < keep then redis.call('PEXPIRE', KEYS[i], text(keep)) end
end
return { 1, deadline, #live - #ended + 1, ended, entries }
