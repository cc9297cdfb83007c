#!lua flags=allow-oom
-- Purpose: removes a web session that a request has emptied, if it is still the one that the request has read.
-- Why a script: between looking and removing, another one could begin under the same name.
-- KEYS: 1 web session
-- ARGV: 1 the birth that was read, 16 bytes
-- Returns: 1 it is gone · 0 it is another one
--
-- allow-oom: a Redis that is full must still let people sign out.
local birth = redis.call('GETRANGE', KEYS[1], 0, 15)
if birth ~= '' and birth ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
