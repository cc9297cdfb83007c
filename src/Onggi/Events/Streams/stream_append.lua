#!lua
-- Purpose: numbers an event and appends it to its stream, where it stays until every group has settled it.
-- Why a script: the number is in the event's own JSON, so numbering and appending must be one step.
-- KEYS: 1 stream · 2 its head, HASH { epoch, seq }
-- ARGV: 1 the epoch to begin when there is no head (a fresh id) · 2 the event, one JSON object with at least one field
-- Returns: { seq, id of the entry }
--
-- It declares flags and does not allow OOM: a Redis that is full refuses it before its first step, so an event is appended whole or not at all.
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'epoch', epoch)
end
local seq = redis.call('HINCRBY', KEYS[2], 'seq', 1)
local numbered = string.format('{"epoch":"%s","seq":%.0f,', epoch, seq) .. string.sub(ARGV[2], 2)
return { seq, redis.call('XADD', KEYS[1], '*', 'event', numbered) }
