-- Purpose: numbers an event, keeps it for a while for those who miss it, and publishes it, so that what is heard is in the order of the numbers.
-- Why a script: INCR and PUBLISH as two commands let two publishers reorder (https://github.com/SignalR/SignalR/issues/1676), and what has a number must be in the ring before anybody can miss it.
-- KEYS: 1 head of the type, HASH { epoch, seq, id; of the ring: bytes, oldest, touched } · 2 its ring, STREAM of <seq>-0 { t: when, ms · p: id of the event before · e: the event }
-- ARGV: 1 channel · 2 PUBLISH or SPUBLISH · 3 the epoch to begin when there is no head (a fresh id, by custom this event's) · 4 the event, one JSON object with at least one field
--       5 its id · 6 how many events the ring keeps at most, 0 for no ring · 7 how many bytes of them at most · 8 for how long at least, ms
-- Returns: { seq, number of connections that this server handed the event to, 1 when the ring has it, 0 when not }
--
-- A Redis that is full refuses to grow, but must still tell its readers what has changed. So this script has no line that begins with
-- "#!": then Redis refuses only a write that grows, and only as long as the script has written nothing. The ring is written first. When
-- that is refused, the ring is let go, which is a write that Redis always allows and which frees memory, and the event goes out without.
-- The head is one small hash per type and grows once. The epoch changes whenever the head was lost (restart without data, FLUSHALL), so a
-- number that begins again at 1 cannot be mistaken for an old one. A failover that lost the last writes gives numbers twice under one
-- epoch: there the ids tell, and each event in the ring names the one before it.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'id', 'bytes', 'oldest', 'touched')
local epoch, seq, before = head[1], tonumber(head[2] or 0) + 1, head[3] or ''
local bytes, oldest, touched = tonumber(head[4] or 0), tonumber(head[5] or 0), tonumber(head[6] or 0)
if not epoch then
  epoch, seq, before = ARGV[3], 1, ''
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch)
end
local most, mostBytes, keep = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local numbered = string.format('{"epoch":"%s","seq":%.0f,', epoch, seq) .. string.sub(ARGV[4], 2)

local kept, now = 0, 0
if most > 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
  local added = redis.pcall('XADD', KEYS[2], string.format('%.0f-0', seq), 't', now, 'p', before, 'e', numbered)
  if type(added) == 'string' then
    kept = 1
  else
    -- Full, or a ring that is further than its head: an event is worth more than its ring. Anything else (a replica, no rights) is the caller's.
    local code = string.match(added.err or '', '^-?(%u+)')
    if code ~= 'OOM' and code ~= 'ERR' then
      return added
    end
  end
end

if kept == 0 then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'seq', seq, 'id', ARGV[5])
  return { seq, redis.call(ARGV[2], ARGV[1], numbered), 0 }
end

-- What is put off for a while, and then done for many at once: the oldest go, and the time is set, when a 32nd has gathered.
local slack = math.floor(keep / 32)
local count = redis.call('XLEN', KEYS[2])
if count == 1 then
  bytes, oldest, touched = #numbered, now, 0
else
  bytes = bytes + #numbered
end
if count > most or bytes > mostBytes or oldest < now - keep - slack then
  local mostLeft, mostBytesLeft = most - math.floor(most / 32), mostBytes - math.floor(mostBytes / 32)
  local from, first = '-', nil
  while not first do
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 8)) do
      oldest = tonumber(entry[2][2])
      if count == 1 or (count <= mostLeft and bytes <= mostBytesLeft and oldest >= now - keep) then
        first = entry[1]
        break
      end
      count = count - 1
      bytes = bytes - #entry[2][6]
      from = '(' .. entry[1]
    end
  end
  redis.call('XTRIM', KEYS[2], 'MINID', first)
end
if touched < now - slack or touched > now then
  touched = now
  redis.call('PEXPIRE', KEYS[2], keep + slack)
end
redis.call('HSET', KEYS[1], 'seq', seq, 'id', ARGV[5], 'bytes', bytes, 'oldest', oldest, 'touched', touched)
return { seq, redis.call(ARGV[2], ARGV[1], numbered), 1 }
