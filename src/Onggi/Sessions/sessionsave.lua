-- Purpose: puts new data into a session, if nobody else has since it was read.
-- Why a script: a sign-out between looking and writing would be undone: the write would make the session anew.
-- KEYS: 1 session · 2 the user's index · 3 its meta
-- ARGV: 1 handle · 2 the version that was read; 0 for any · 3 data · 4 roles, JSON; empty for those it has
-- Returns: { 1, new version } · { 0 } there is no session · { 2 } the id was replaced by another one · { 3, version } somebody else was first
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- What replaced an id that still opens the session. The meta's field "next" says it of all that were replaced lately, also when their successors were.
local function successor(handle)
  local to = redis.call('HGET', KEYS[1], 'next')
  for old, new in string.gmatch(to and redis.call('HGET', KEYS[3], 'next') or '', '(%S+) (%S+) %d+ ') do
    if old == handle then return new end
  end
  return to
end

local deadline = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not deadline then
  local next = successor(ARGV[1])
  return { next and redis.call('ZSCORE', KEYS[2], next) and 2 or 0 }
end
local version = redis.call('HGET', KEYS[1], 'version')
if tonumber(deadline) <= now or not version then return { 0 } end
if ARGV[2] ~= '0' and ARGV[2] ~= version then return { 3, tonumber(version) } end
if ARGV[4] == '' then
  redis.call('HSET', KEYS[1], 'version', version + 1, 'data', ARGV[3])
else
  redis.call('HSET', KEYS[1], 'version', version + 1, 'data', ARGV[3], 'roles', ARGV[4])
end
return { 1, version + 1 }
