#!lua flags=allow-oom
-- Purpose: says what became of a message: done, to be tried again later, put into quarantine, or given back untouched.
-- Why a script: acknowledging in one step and marking, delaying or quarantining in another would, cut in between, lose the message or do it twice.
-- KEYS: 1 stream · 2 retries, ZSET id -> when due in ms · 3 mark · 4 quarantine, STREAM
-- ARGV: 1 group · 2 id · 3 consumer · 4 outcome · then, for 'done': 5 life of the mark in ms, 0 for none · 'retry': 5 ms until then · 'quarantine': 5 reason 6 the event's id or '' · 'release': 5 how long ago its consumer gave its last sign, in ms 6 how often it was handed out, this time not counted
-- Returns: 1 settled · 0 it was settled before · -1 another consumer has it now, so it is not for us to say
--
-- allow-oom: a Redis that is full must still be told what is done, or it never gets emptier.
local state = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)[1]
if not state then
  return 0
end
local outcome = ARGV[4]
if outcome == 'done' then
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[2])
  if ARGV[5] ~= '0' then
    local time = redis.call('TIME')
    redis.call('SET', KEYS[3], string.format('%.0f', time[1] * 1000000 + time[2]), 'PX', ARGV[5])
  end
  return 1
end
if state[2] ~= ARGV[3] then
  return -1
end
if outcome == 'retry' then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5], ARGV[2])
elseif outcome == 'release' then
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[2], 'IDLE', ARGV[5], 'RETRYCOUNT', ARGV[6], 'JUSTID')
else
  local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
  if entry then
    redis.call('XADD', KEYS[4], '*', 'reason', ARGV[5], 'id', ARGV[2], 'event-id', ARGV[6], 'attempts', state[4], unpack(entry[2], 1, math.min(#entry[2], 4000)))
  end
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[2])
end
return 1
