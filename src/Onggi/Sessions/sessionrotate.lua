-- Purpose: gives a session another id; the one that it had opens it for a moment longer.
-- Why a script: there must be no moment with two sessions, or with none.
-- KEYS: 1 session · 2 the same under its new id · 3 the user's index · 4 its meta · 5 deadlines of the shard · 6 outbox of the shard
-- ARGV: 1 handle · 2 new handle · 3 user's partition · 4 how long the old id still opens it, ms · 5 after how long somebody else publishes what we have not, ms; 0 for no events
--       · 6 how long the outbox outlives what is in it, ms
-- Returns: { 1, deadline, entries of the outbox } · { 0 } there is no session · { 2 } another id has replaced this one already
--
-- Asked again with the same ids after a lost reply it says the same. An old id opens the session, it never gets a new one: whoever stole it would keep it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

-- Those that were replaced lately, by what, and until when that matters: "old new until " of each.
local replaced = redis.call('HGET', KEYS[4], 'next') or ''
local again = redis.call('ZSCORE', KEYS[3], ARGV[2])
if again then return { 1, tonumber(again), {} } end
local deadline = redis.call('ZSCORE', KEYS[3], ARGV[1])
if not deadline then
  local successor = redis.call('HGET', KEYS[1], 'next')
  for old, new in string.gmatch(successor and replaced or '', '(%S+) (%S+) %d+ ') do
    if old == ARGV[1] then successor = new end
  end
  return { successor and redis.call('ZSCORE', KEYS[3], successor) and 2 or 0 }
end
local created, ends, idle, device = string.match(redis.call('HGET', KEYS[4], ARGV[1]) or '', '^(%d+),(%d+),(%d+),%d+,(.*)$')
if tonumber(deadline) <= now or not created or redis.call('COPY', KEYS[1], KEYS[2]) == 0 then return { 0 } end

deadline = math.min(now + idle, tonumber(ends))
redis.call('PEXPIREAT', KEYS[2], text(deadline))
-- Added before the other is removed: a key that is empty for a moment is gone, and its time to live with it.
redis.call('ZADD', KEYS[3], deadline, ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[2], created .. ',' .. ends .. ',' .. idle .. ',' .. text(now) .. ',' .. device)
redis.call('ZADD', KEYS[5], deadline, ARGV[3] .. ARGV[2])
redis.call('ZREM', KEYS[5], ARGV[3] .. ARGV[1])
if ARGV[4] == '0' then
  redis.call('UNLINK', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'next', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], text(math.min(tonumber(ARGV[4]), deadline - now)))
end

-- Whose overlap goes on now has the new id as successor; where this one gets no overlap, neither has what was before it: it could be what somebody planted.
local keep = ARGV[4] ~= '0' and { ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. text(now + ARGV[4]) .. ' ' } or {}
for old, new, till in string.gmatch(replaced, '(%S+) (%S+) (%d+) ') do
  if new == ARGV[1] then new = ARGV[4] ~= '0' and ARGV[2] end
  if new and tonumber(till) > now then keep[#keep + 1] = old .. ' ' .. new .. ' ' .. till .. ' ' end
end
if #keep > 0 then redis.call('HSET', KEYS[4], 'next', table.concat(keep)) else redis.call('HDEL', KEYS[4], 'next') end

if ARGV[5] == '0' then return { 1, deadline, {} } end
local entry = cjson.encode({
  k = 'created', r = 'rotated', s = ARGV[2], u = redis.call('HGET', KEYS[4], 'user') or '', t = text(now), c = created, d = device, p = ARGV[1],
})
redis.call('ZADD', KEYS[6], now + ARGV[5], entry)
if redis.call('PTTL', KEYS[6]) < tonumber(ARGV[6]) then redis.call('PEXPIRE', KEYS[6], ARGV[6]) end
return { 1, deadline, { entry } }
