-- Purpose: writes what a request has made of a web session, if the session is still the one that the request has read.
-- Why a script: between looking and writing, somebody could clear the session, and the write would bring it back.
-- KEYS: 1 web session
-- ARGV: 1 the birth that was read, 16 bytes; empty where there was nothing · 2 the session, its birth first · 3 how long it lives unless it is read, ms
-- Returns: 1 written · 0 it is another one, or gone
--
-- Asked again after a lost reply it says the same: what stands there then has the birth that was written.
local birth = redis.call('GETRANGE', KEYS[1], 0, 15)
if birth ~= ARGV[1] and birth ~= string.sub(ARGV[2], 1, 16) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
