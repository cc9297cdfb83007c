#!lua flags=allow-oom
-- Purpose: ends all tokens that a user has: every refresh family, and by the user's epoch every access token.
-- Why a script: a refresh between the two would hand out a token that lives.
-- KEYS: 1 the user's families, HASH · 2 their deadlines, ZSET · 3 the user's epoch
-- ARGV: 1 the epoch to assert again, 0 for a new one · 2 ms that the epoch is kept: as long as an access token is good for at most
-- Returns: { the epoch, how many families ended, now }
--
-- A token dies when its stamp is below the epoch. A new epoch is above every stamp that was handed out, whatever the clocks of servers and nodes did.
-- Asserted again, after a failover, it ends what is older and lets live what began since: nobody is signed out twice.
-- allow-oom: a full Redis must not keep anybody signed in.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function whole(n) return string.format('%.0f', n) end

local known = tonumber(redis.call('GET', KEYS[3]) or '0')
local epoch = tonumber(ARGV[1])
if epoch == 0 then
  local last = tonumber(redis.call('HGET', KEYS[1], '#') or '0')
  epoch = math.max(now, last + 1, known + 1)
end
local ended = 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local born = string.match(all[i + 1], '^%d+ %S+ %S+ %d+ (%d+) %d+$')
  if born and tonumber(born) < epoch then
    redis.call('HDEL', KEYS[1], all[i])
    redis.call('ZREM', KEYS[2], all[i])
    ended = ended + 1
  end
end
if epoch >= known then redis.call('SET', KEYS[3], whole(epoch), 'PX', ARGV[2]) end
return { whole(epoch), ended, whole(now) }
