#!lua flags=allow-oom
-- Purpose: notes that a tag is evicted, and names responses under it, which the caller then removes.
-- Why a script: a response that is stored between the note and the look must be found, or refused.
-- KEYS: 1 tag · 2 when it was evicted
-- ARGV: 1 how long the note is kept, ms · 2 how many names · then what was removed since the last call: name, end …
-- Returns: { name, end … }
--
-- What was stored anew meanwhile has another end and stays entered. allow-oom: a Redis that is full must be able to get rid of what is old.
if #ARGV == 2 then
  local t = redis.call('TIME')
  redis.call('SET', KEYS[2], string.format('%.0f', t[1] * 1000000 + t[2]), 'PX', ARGV[1])
end
for i = 3, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1, 'WITHSCORES')
