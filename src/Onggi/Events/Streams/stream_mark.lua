#!lua flags=allow-oom
-- Purpose: marks a message as done before its handler does what cannot be undone, for one consumer only.
-- Why a script: who was paused for so long that another has taken the message over must not mark it.
-- KEYS: 1 stream · 2 mark
-- ARGV: 1 group · 2 id · 3 consumer · 4 the mark, its text names this delivery · 5 its life in ms
-- Returns: 1 marked by us, also when we ask twice · 0 marked before · -1 another consumer has the message now, or it is settled
--
-- allow-oom: it is small, and without it a Redis that is full would let no handler do its work.
local state = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)[1]
if not state or state[2] ~= ARGV[3] then
  return -1
end
if redis.call('SET', KEYS[2], ARGV[4], 'NX', 'PX', ARGV[5]) then
  return 1
end
return redis.call('GET', KEYS[2]) == ARGV[4] and 1 or 0
