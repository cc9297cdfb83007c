#!lua flags=no-writes
-- Purpose: tells what the ring of a type still has from a number on, and where its count stands.
-- Why a script: both must be of one moment, and the reply must stay small however large the events are.
-- KEYS: 1 head of the type · 2 its ring (publish.lua says what is in them)
-- ARGV: 1 the first number wanted · 2 only events that are at most so old, ms; 0 for any age · 3 how many events at most · 4 how many bytes of them at most; one is given all the same
-- Returns: { epoch or nil, seq, id or nil, the server's time in ms, { t, p, e, t, p, e … } }
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'id')
local seq = tonumber(head[2] or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from, age = tonumber(ARGV[1]), tonumber(ARGV[2])
local most, mostBytes = tonumber(ARGV[3]), tonumber(ARGV[4])

local function read(number, count)
  return redis.call('XRANGE', KEYS[2], string.format('%.0f-0', number), '+', 'COUNT', count)
end

local function numberOf(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

if age > 0 then
  -- The times grow with the numbers: the first that is young enough is found by halving.
  local low, high = from, seq + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = read(middle, 1)[1]
    if not entry or tonumber(entry[2][2]) >= now - age then
      high = middle
    else
      low = numberOf(entry) + 1
    end
  end
  from = low
end

local events, bytes = {}, 0
while #events < 3 * most do
  local page = read(from, math.min(8, most - #events / 3))
  for _, entry in ipairs(page) do
    local fields = entry[2]
    bytes = bytes + #fields[6]
    if #events > 0 and bytes > mostBytes then
      page = {}
      break
    end
    events[#events + 1] = fields[2]
    events[#events + 1] = fields[4]
    events[#events + 1] = fields[6]
    from = numberOf(entry) + 1
  end
  if #page == 0 then
    break
  end
end
return { head[1], seq, head[3], now, events }
