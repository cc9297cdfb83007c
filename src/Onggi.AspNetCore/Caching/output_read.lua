-- Purpose: reads a response, or tells when there was none.
-- Why a script: the time must not be later than the look, and two commands can be answered by two servers.
-- KEYS: 1 response
-- ARGV: none
-- Returns: the response; the server's time in microseconds when there is none
local response = redis.pcall('GET', KEYS[1])
if type(response) == 'table' then
  if not string.find(response.err, 'WRONGTYPE', 1, true) then return response end
  response = false
end
if response then return response end
local t = redis.call('TIME')
return t[1] * 1000000 + t[2]
