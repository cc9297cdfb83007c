#!lua flags=allow-oom
-- Purpose: removes from a stream what every group has settled, and tells how the groups stand.
-- Why a script: between asking the groups and trimming, one may be told to begin again, or be made.
-- KEYS: 1 stream · 2 who trims last, STRING
-- ARGV: 1 for how many ms nobody else needs to trim, 0 to trim in any case · 2 how many ms settled events are kept for replays · 3 how many ms events are kept when there is no group · 4 how many to remove at most, about · 5 after how many idle ms a consumer that has nothing is forgotten
-- Returns: { how many were removed, entries left, { group, pending, entries not delivered yet or -1, age in ms of the oldest that is not settled or -1, consumers } … }
--
-- Never more than the slowest group has settled. Ids are compared as texts of digits: their parts have 64 bits, numbers here have 53.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { 0, 0 }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function less(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

local function before(a, b)
  local a1, a2 = string.match(a, '^(%d+)-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)-(%d+)$')
  if a1 ~= b1 then
    return less(a1, b1)
  end
  return less(a2, b2)
end

local mine = ARGV[1] == '0' or redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1])
local answer = { 0, 0 }
local slowest
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #flat, 2 do
    group[flat[i]] = flat[i + 1]
  end
  local pending = redis.call('XPENDING', KEYS[1], group.name)
  local low = group['last-delivered-id']
  local age = -1
  if pending[1] > 0 then
    low = pending[2]
    age = now - tonumber(string.match(low, '^%d+'))
  else
    local waiting = redis.call('XRANGE', KEYS[1], '(' .. low, '+', 'COUNT', 1)[1]
    if waiting then
      age = now - tonumber(string.match(waiting[1], '^%d+'))
    end
  end
  if not slowest or before(low, slowest) then
    slowest = low
  end
  local consumers = group.consumers
  if mine then
    for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group.name)) do
      local consumer = {}
      for i = 1, #one, 2 do
        consumer[one[i]] = one[i + 1]
      end
      -- With something pending it stays: its messages would be forgotten with it.
      if consumer.pending == 0 and consumer.idle > tonumber(ARGV[5]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group.name, consumer.name)
        consumers = consumers - 1
      end
    end
  end
  answer[#answer + 1] = { group.name, pending[1], group.lag or -1, age, consumers }
end

if mine then
  local kept = string.format('%.0f-0', math.max(0, now - tonumber(slowest and ARGV[2] or ARGV[3])))
  local bound = slowest and before(slowest, kept) and slowest or kept
  answer[1] = redis.call('XTRIM', KEYS[1], 'MINID', '~', bound, 'LIMIT', ARGV[4])
  if answer[1] == 0 then
    -- No whole node is below the bound any more, so what is stands in the first one.
    answer[1] = redis.call('XTRIM', KEYS[1], 'MINID', bound)
  end
end
answer[2] = redis.call('XLEN', KEYS[1])
return answer
