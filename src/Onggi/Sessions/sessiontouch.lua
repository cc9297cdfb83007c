#!lua flags=allow-oom
-- Purpose: says whether a session lives, hands it out, and lengthens its life.
-- Why a script: between reading and lengthening, a sign-out could come, and the session would live again.
-- KEYS: 1 session · 2 the user's index · 3 its meta
-- ARGV: 1 handle · 2 how long since the last lengthening makes another one worth a write, ms · 3 1 with roles and data · 4 1 when an id was shown, 0 for a handle
-- Returns: { 0 } for none · { 1, or 2 under an id that was replaced, deadline, created, last seen, version, user, device, roles, data }
--
-- The index is the authority: what it does not know does not live, whatever else stands. What is past its deadline is dead and left to the sweeper, which tells of it.
-- A key that the index does not know is removed only for who showed its id: a handle is no secret, and the key may be another user's.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

-- What replaced an id that still opens the session. The meta's field "next" says it of all that were replaced lately, also when their successors were.
local function successor(handle)
  local to = redis.call('HGET', KEYS[1], 'next')
  for old, new in string.gmatch(to and redis.call('HGET', KEYS[3], 'next') or '', '(%S+) (%S+) %d+ ') do
    if old == handle then return new end
  end
  return to
end

local handle = ARGV[1]
local deadline = redis.call('ZSCORE', KEYS[2], handle)
if not deadline then
  handle = successor(handle)
  deadline = handle and redis.call('ZSCORE', KEYS[2], handle)
  if not deadline then
    if ARGV[4] == '1' then redis.call('UNLINK', KEYS[1]) end
    return { 0 }
  end
end
deadline = tonumber(deadline)
if deadline <= now then return { 0 } end

local session = ARGV[3] == '1' and redis.call('HMGET', KEYS[1], 'version', 'user', 'roles', 'data') or redis.call('HMGET', KEYS[1], 'version', 'user')
local created, ends, idle, seen, device = string.match(redis.call('HGET', KEYS[3], handle) or '', '^(%d+),(%d+),(%d+),(%d+),(.*)$')
if not session[1] or not created then return { 0 } end
if handle ~= ARGV[1] then
  return { 2, deadline, tonumber(created), tonumber(seen), tonumber(session[1]), session[2], device, session[3] or false, session[4] or false }
end

if now - seen >= tonumber(ARGV[2]) then
  deadline = math.min(now + idle, tonumber(ends))
  seen = now
  redis.call('ZADD', KEYS[2], deadline, handle)
  redis.call('HSET', KEYS[3], handle, created .. ',' .. ends .. ',' .. idle .. ',' .. text(now) .. ',' .. device)
  redis.call('PEXPIREAT', KEYS[1], text(deadline))
end
return { 1, deadline, tonumber(created), tonumber(seen), tonumber(session[1]), session[2], device, session[3] or false, session[4] or false }
