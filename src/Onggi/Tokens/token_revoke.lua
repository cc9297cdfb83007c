#!lua flags=allow-oom
-- Purpose: ends a refresh family and every access token that came of it.
-- Why a script: a refresh between the end of the family and the entry in the blacklist would hand out a token that lives.
-- KEYS: 1 the user's families, HASH · 2 their deadlines, ZSET · 3 the sealed successor · 4 the blacklist entry of the family
-- ARGV: 1 family · 2 reason · 3 ms that an access token is good for at most
-- Returns: 1 the family was there · 0 it was not (any more)
--
-- Done twice it is the same, so a node may assert it again after a failover. allow-oom: a full Redis must not keep anybody signed in.
local was = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3])
if redis.call('PTTL', KEYS[4]) < tonumber(ARGV[3]) then redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[3]) end
return was
