-- Purpose: lets a group begin again at an earlier place, and lets marks set until now count for nothing.
-- Why a script: a message delivered between the two would be taken for done, and not be done again.
-- KEYS: 1 stream · 2 when the group was last told to begin again, STRING µs · 3 retries, ZSET
-- ARGV: 1 group · 2 the id after which it goes on · 3 for how many ms marks can stand at most
-- Returns: 1
--
-- What waits for its retry is delivered again with the rest, or, where it is older, taken over as abandoned.
local time = redis.call('TIME')
redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[2])
redis.call('SET', KEYS[2], string.format('%.0f', time[1] * 1000000 + time[2]), 'PX', ARGV[3])
redis.call('DEL', KEYS[3])
return 1
