-- Purpose: gives back what was taken and not used.
-- Why a script: the state is read, changed and written in one step.
-- KEYS: 1 the rules' states, HASH rule -> state
-- ARGV: 1 cost · 2 the server's time when it was taken, in us · then for each rule: its name, g, s, f or p · limit · period in us · burst
-- Returns: for how many rules something was given back
--
-- Never more than there is room for: a budget is not more than full, and what was taken in a window that no longer counts is not
-- given back in this one.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost, taken = tonumber(ARGV[1]), tonumber(ARGV[2])
local given = 0
for i = 3, #ARGV, 5 do
  local name, kind, limit, period = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local held = kind ~= 'p' and redis.call('HGET', KEYS[1], name)
  local state
  if held and kind == 'g' then
    local at = tonumber(held) or 0
    if at > now then
      state = string.format('%.2f', math.max(now, math.ceil((at - period / limit * cost) * 4) / 4))
    end
  elseif held then
    local id, current, previous = string.match(held, '^(%d+):(%d+):(%d+)$')
    local then_id = math.floor(taken / period)
    if tonumber(id) == then_id then
      state = string.format('%s:%.0f:%s', id, math.max(0, current - cost), previous)
    elseif kind == 's' and tonumber(id) == then_id + 1 then
      state = string.format('%s:%s:%.0f', id, current, math.max(0, previous - cost))
    end
  end
  if state then
    redis.call('HSET', KEYS[1], name, state)
    given = given + 1
  end
end
return given
