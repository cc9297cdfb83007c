#!lua flags=allow-oom
-- Purpose: numbers an event and publishes it, so that what is heard is in the order of the numbers.
-- Why a script: INCR and PUBLISH as two commands let two publishers reorder (https://github.com/SignalR/SignalR/issues/1676).
-- KEYS: 1 head of the type, HASH { epoch, seq }
-- ARGV: 1 channel · 2 the epoch to begin when there is no head (a fresh id, by custom this event's) · 3 the event, one JSON object with at least one field
-- Returns: { seq, number of connections that this server handed the event to }
--
-- allow-oom: a Redis that is full refuses to grow, but must still tell its readers what has changed. The head is one small hash per
-- type and grows once. The epoch changes whenever the head was lost (restart without data, FLUSHALL), so a number that begins again
-- at 1 cannot be mistaken for an old one.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'epoch', epoch)
end
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local numbered = string.format('{"epoch":"%s","seq":%.0f,', epoch, seq) .. string.sub(ARGV[3], 2)
return { seq, redis.call('PUBLISH', ARGV[1], numbered) }
