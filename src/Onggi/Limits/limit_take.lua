-- Purpose: spends from a budget that several rules bound, if all of them allow it; or looks whether they would.
-- Why a script: looking and spending must be one step, and all rules must be charged or none.
-- KEYS: 1 the rules' states, HASH rule -> state · 2 the places that are taken, ZSET place -> its end in ms; only where a rule counts places
-- ARGV: 1 take or peek · 2 cost · 3 the place to take · 4 for how many ms it is taken · then for each rule: its name, g (even flow), s (sliding window), f (fixed window) or p (places) · limit · period in us · burst
-- Returns: { 1 allowed or 0 denied, how much is left, us until the same cost is allowed, us until all is full, the number of the rule that binds, the server's time in us, us until that rule's part is full }
--
-- g is the generic cell rate algorithm: its state is the time at which the budget is full again, in quarters of a microsecond and rounded
-- up, so that rounding never gives anything away. s and f count in windows that begin at multiples of the period: id:this:previous;
-- s weighs the previous one with the part of it that a window ending now still covers.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost = tonumber(ARGV[2])
local names, count = {}, (#ARGV - 4) / 5
for i = 1, count do
  names[i] = ARGV[5 * i]
end
local states = redis.call('HMGET', KEYS[1], unpack(names))
local allowed, retry, full, least, binding, its = 1, 0, 0, nil, 0, 0
local write, places = {}, false
for i = 1, count do
  local kind, limit = ARGV[5 * i + 1], tonumber(ARGV[5 * i + 2])
  local period, burst = tonumber(ARGV[5 * i + 3]), tonumber(ARGV[5 * i + 4])
  local left, wait, fills, state = 0, 0, 0, nil
  if kind == 'g' then
    local interval = period / limit
    local at = math.max(tonumber(states[i] or 0) or 0, now)
    -- Small numbers are compared, not times since 1970, which have no fractions to spare.
    fills = at - now
    wait = math.ceil(fills + interval * (cost - burst) - 1e-6)
    left = math.floor((interval * burst - fills) / interval + 1e-6)
    if wait <= 0 then
      local after = math.ceil((at + interval * cost) * 4) / 4
      state, fills = string.format('%.2f', after), after - now
    end
  elseif kind == 'p' then
    places = true
    local ms = math.floor(now / 1000)
    left = limit - redis.call('ZCOUNT', KEYS[2], '(' .. ms, '+inf')
    if left < 1 then
      local first = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ms, '+inf', 'WITHSCORES', 'LIMIT', 0 - left, 1)
      wait = (tonumber(first[2] or ms) - ms) * 1000
    end
  else
    local id, current, previous = math.floor(now / period), 0, 0
    local into = now - id * period
    local then_id, a, b = string.match(states[i] or '', '^(%d+):(%d+):(%d+)$')
    if tonumber(then_id) == id then
      current, previous = tonumber(a), tonumber(b)
    elseif tonumber(then_id) == id - 1 then
      previous = tonumber(a)
    end
    if kind == 'f' then
      previous = 0
    end
    -- Both sides times the period, so that whole numbers are compared.
    local used = previous * (period - into) + current * period
    left = math.floor((limit * period - used) / period)
    fills = current > 0 and period - into + (kind == 's' and period or 0) or previous > 0 and period - into or 0
    if used + cost * period > limit * period then
      if current + cost <= limit then
        -- Later in this window, when enough of the previous one is out of sight.
        wait = math.ceil(period - (limit - cost - current) * period / previous + 1e-6) - into
      else
        -- In the next window, in which this one is the previous.
        wait = period - into
        if kind == 's' then
          wait = wait + math.max(0, math.ceil(period - (limit - cost) * period / current + 1e-6))
        end
      end
      wait = math.max(wait, 1)
    else
      state = string.format('%.0f:%.0f:%.0f', id, current + cost, previous)
      fills = period - into + (kind == 's' and period or 0)
    end
  end
  if wait > 0 then
    -- Of several that deny, the one that does so the longest is the one to tell of.
    if allowed == 1 or wait > retry then
      retry, binding, least, its = wait, i, left, fills
    end
    allowed = 0
  elseif allowed == 1 then
    if ARGV[1] == 'take' then
      left = left - (kind == 'p' and 1 or cost)
    end
    if not least or left < least then
      least, binding, its = left, i, fills
    end
  end
  full = math.max(full, fills)
  if state then
    write[#write + 1] = names[i]
    write[#write + 1] = state
  end
end
if allowed == 1 and ARGV[1] == 'take' then
  if #write > 0 then
    redis.call('HSET', KEYS[1], unpack(write))
    -- Only longer: a process that does not know all the rules yet must not end what the others count.
    if redis.call('PTTL', KEYS[1]) < math.ceil(full / 1000) + 1 then
      redis.call('PEXPIRE', KEYS[1], math.ceil(full / 1000) + 1)
    end
  end
  if places then
    local ms = math.floor(now / 1000)
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms)
    redis.call('ZADD', KEYS[2], ms + ARGV[4], ARGV[3])
    if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then
      redis.call('PEXPIRE', KEYS[2], ARGV[4])
    end
  end
end
return { allowed, math.max(0, least), retry, math.ceil(full), binding, now, math.ceil(its) }
