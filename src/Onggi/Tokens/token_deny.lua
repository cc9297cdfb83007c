#!lua flags=allow-oom
-- Purpose: puts a token on the blacklist until nobody takes it any more.
-- Why a script: only so that it works when Redis is full, which must not keep a token alive.
-- KEYS: 1 the blacklist entry
-- ARGV: 1 reason · 2 until when, ms of the server's clock
-- Returns: 1
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return 1
