#!lua flags=allow-oom
-- Purpose: takes a refresh token back for its successor, or answers a retry with the same successor, or finds out that it was stolen.
-- Why a script: of fifty callers with one token one rotates it, and no revocation comes between the look and the change.
-- KEYS: 1 the user's families, HASH · 2 their deadlines, ZSET · 3 the user's epoch · 4 the sealed successor · 5 the blacklist entry of the family
-- ARGV: 1 family · 2 generation presented · 3 its hash · 4 hash of the successor · 5 idle ms · 6 ms for which a retry gets the same successor · 7 the successor, sealed · 8 stamp of the new access token · 9 ms that an access token is good for at most · 10 by how many ms a stamp may be off
-- Returns: { 'rotated', deadline, now } · { 'retry', deadline, now, sealed } · { 'clock', now, epoch } · { 'late' } · { 'reuse' } · { 'revoked' } · { 'expired' } · { 'unknown' }
--
-- The caller has checked the token's MAC: what is presented here was made by us. A generation above ours is what a failover has made Redis forget;
-- its holder was told so by the server that is gone, so it counts as the current one. Anything else that is neither the current token
-- nor the one before, in its time, is an old one that somebody kept: the family ends (RFC 9700, 4.14).
-- allow-oom: it hardly grows, and a full Redis must not sign everybody out, nor let a thief go on.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n) end
local function drop()
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('DEL', KEYS[4])
end

if redis.call('EXISTS', KEYS[5]) == 1 then
  drop()
  return { 'revoked' }
end
local state = redis.call('HGET', KEYS[1], ARGV[1])
if not state then return { 'unknown' } end
local gen, cur, prev, again, born, absolute = string.match(state, '^(%d+) (%S+) (%S+) (%d+) (%d+) (%d+)$')
local epoch = tonumber(redis.call('GET', KEYS[3]) or '0')
if tonumber(born) < epoch then
  drop()
  return { 'revoked' }
end
local deadline = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0')
if deadline <= now then
  drop()
  return { 'expired' }
end

if ARGV[3] == prev and now < tonumber(again) then
  local sealed = redis.call('GET', KEYS[4])
  -- Gone before its time: memory ran out. Who asks is no thief, but has nothing to be given.
  if not sealed then return { 'late' } end
  return { 'retry', whole(deadline), whole(now), sealed }
end
if ARGV[3] ~= cur and tonumber(ARGV[2]) <= tonumber(gen) then
  drop()
  redis.call('SET', KEYS[5], 'reuse', 'PX', ARGV[9])
  return { 'reuse' }
end

local stamp, off = tonumber(ARGV[8]), tonumber(ARGV[10])
if stamp < epoch or stamp > now + off or stamp < now - off then return { 'clock', whole(now), whole(epoch) } end
deadline = math.min(now + tonumber(ARGV[5]), tonumber(absolute))
local last = tonumber(redis.call('HGET', KEYS[1], '#') or '0')
redis.call('HSET', KEYS[1], '#', whole(math.max(last, stamp)), ARGV[1],
  whole(tonumber(ARGV[2]) + 1) .. ' ' .. ARGV[4] .. ' ' .. ARGV[3] .. ' ' .. whole(now + tonumber(ARGV[6])) .. ' ' .. born .. ' ' .. absolute)
redis.call('ZADD', KEYS[2], whole(deadline), ARGV[1])
redis.call('SET', KEYS[4], ARGV[7], 'PX', ARGV[6])
local keep = math.max(deadline - now, tonumber(ARGV[9]))
for i = 1, 2 do
  if redis.call('PTTL', KEYS[i]) < keep then redis.call('PEXPIRE', KEYS[i], whole(keep)) end
end
return { 'rotated', whole(deadline), whole(now) }
