#!lua flags=allow-oom
-- Purpose: ends one session of a user, all of them, or all but one.
-- Why a script: a session that begins or is renewed meanwhile must be ended or be left, never half.
-- KEYS: 1 session, the index where none is meant · 2 the user's index · 3 its meta · 4 deadlines of the shard · 5 outbox of the shard
-- ARGV: 1 one, all or others · 2 user's partition · 3 reason · 4 after how long somebody else publishes what we have not, ms; 0 for no events
--       · 5 how long the outbox outlives what is in it, ms · 6 of all and others, by when those must have begun that are to end, ms; 0 for whatever there is
--       · 7 … handles: those to end with one, that to keep with others
-- Returns: { handles that were ended, entries of the outbox, how many more had ended by time and nobody had told of it yet }
--
-- The index is the authority, so with it all is done; the sessions' own keys are removed afterwards, at their next use, or by their time to live.
-- allow-oom: a Redis that is full must still let people sign out.
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

-- An id that was replaced stands for its successor.
local function current(handle)
  if KEYS[1] == KEYS[2] or redis.call('ZSCORE', KEYS[2], handle) then return handle end
  return successor(handle) or handle
end

local handles = {}
if ARGV[1] == 'one' then
  for i = 7, #ARGV do
    local handle = current(ARGV[i])
    if redis.call('ZSCORE', KEYS[2], handle) then handles[#handles + 1] = handle end
  end
  if KEYS[1] ~= KEYS[2] then redis.call('UNLINK', KEYS[1]) end
else
  local keep = ARGV[1] == 'others' and current(ARGV[7])
  -- Who is not signed in himself cannot sign out the others.
  if keep and not redis.call('ZSCORE', KEYS[2], keep) then return { {}, {}, 0 } end
  for _, handle in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local began = ARGV[6] ~= '0' and string.match(redis.call('HGET', KEYS[3], handle) or '', '^%d+')
    if handle ~= keep and (not began or tonumber(began) <= tonumber(ARGV[6])) then handles[#handles + 1] = handle end
  end
end

local user = redis.call('HGET', KEYS[3], 'user') or ''
local entries, live = {}, {}
for first = 1, #handles, 500 do
  local chunk, members, told, late = {}, {}, {}, {}
  for i = first, math.min(first + 499, #handles) do
    local handle = handles[i]
    chunk[#chunk + 1] = handle
    members[#members + 1] = ARGV[2] .. handle
    -- What is past its deadline was dead before we came: it expired.
    late[handle] = now - redis.call('ZSCORE', KEYS[2], handle)
    if late[handle] < 0 then live[#live + 1] = handle end
  end
  if ARGV[4] ~= '0' then
    local metas = redis.call('HMGET', KEYS[3], unpack(chunk))
    for i, handle in ipairs(chunk) do
      local created, device = string.match(metas[i] or '', '^(%d+),%d+,%d+,%d+,(.*)$')
      local entry = { k = 'revoked', r = ARGV[3], s = handle, u = user, t = text(now), c = created, d = device }
      if late[handle] >= 0 then entry.k, entry.r, entry.l = 'expired', 'expired', text(late[handle]) end
      entry = cjson.encode(entry)
      entries[#entries + 1] = entry
      told[#told + 1] = now + ARGV[4]
      told[#told + 1] = entry
    end
    redis.call('ZADD', KEYS[5], unpack(told))
  end
  redis.call('ZREM', KEYS[2], unpack(chunk))
  redis.call('HDEL', KEYS[3], unpack(chunk))
  redis.call('ZREM', KEYS[4], unpack(members))
end
-- The last to go takes along what stood beside it.
if #handles > 0 and redis.call('EXISTS', KEYS[2]) == 0 then redis.call('UNLINK', KEYS[3]) end
if #entries > 0 and redis.call('PTTL', KEYS[5]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[5], ARGV[5]) end
return { live, entries, #handles - #live }
