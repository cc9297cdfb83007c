-- Purpose: lets an access token be handed out that was signed already, and begins a refresh family where one is wanted.
-- Why a script: a sign-out everywhere between the look at the user's epoch and the new family would be undone by it.
-- KEYS: 1 the user's families, HASH · 2 their deadlines, ZSET · 3 the user's epoch
-- ARGV: 1 family, '' for none · 2 hash of its first refresh token · 3 idle ms · 4 whole life ms · 5 stamp of the access token · 6 ms that an access token is good for at most · 7 by how many ms a stamp may be off · 8 most families
-- Returns: { 'issued', deadline of the family or 0, now } · { 'clock', now, epoch }: nothing was done, sign with a better stamp
--
-- A family is "gen cur prev until born absolute": the number and hash of the current refresh token, the hash of the one before and until when it
-- is answered again, the stamp of its first access token, the end of its whole life. The field '#' is the latest stamp handed out: an epoch is
-- always above it, so no clock can bring an older token past a sign-out.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n) end

local epoch = tonumber(redis.call('GET', KEYS[3]) or '0')
local stamp, off = tonumber(ARGV[5]), tonumber(ARGV[7])
if stamp < epoch or stamp > now + off or stamp < now - off then return { 'clock', whole(now), whole(epoch) } end

for _, family in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 64)) do
  redis.call('HDEL', KEYS[1], family)
  redis.call('ZREM', KEYS[2], family)
end

local keep, deadline = tonumber(ARGV[6]), 0
local last = tonumber(redis.call('HGET', KEYS[1], '#') or '0')
redis.call('HSET', KEYS[1], '#', whole(math.max(last, stamp)))
if ARGV[1] ~= '' then
  -- Who signs in again and again does not fill the memory: the family that would end first makes room. Asked again after a lost reply, this one has its place already.
  local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[8]) + 1
  if over > 0 and not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
    local popped = redis.call('ZPOPMIN', KEYS[2], over)
    for i = 1, #popped, 2 do redis.call('HDEL', KEYS[1], popped[i]) end
  end
  local absolute = now + tonumber(ARGV[4])
  deadline = math.min(now + tonumber(ARGV[3]), absolute)
  redis.call('HSET', KEYS[1], ARGV[1], '0 ' .. ARGV[2] .. ' - 0 ' .. whole(stamp) .. ' ' .. whole(absolute))
  redis.call('ZADD', KEYS[2], whole(deadline), ARGV[1])
  keep = math.max(keep, deadline - now)
end
for i = 1, 2 do
  if redis.call('PTTL', KEYS[i]) < keep then redis.call('PEXPIRE', KEYS[i], whole(keep)) end
end
return { 'issued', whole(deadline), whole(now) }
