-- Purpose: reads entries, and grants the right to fill those that are absent or past their life (GET-or-lease).
-- Why a script: between a GET that finds nothing and a SET NX of the lease another could fill, or invalidate: the lease must be of what was read.
-- KEYS: 1 entry · 2 its lease · 3 entry · 4 its lease …
-- ARGV: 1 token · 2 lease in ms · 3 epoch · 4 when the epoch began, ms, with the allowed skew; 0 believes every value · 5 grace in ms · 6 life of a "not found" in ms
--       · 7 sliding life in ms, 0 for none · 8 1: what is there counts as absent; 2: and whoever holds the lease loses it · then for each entry: its whole life in ms
-- Returns: for each entry { code, value or false, ms left (of the lease where it is held; -3 for a key of another type), holder or false }
--   0 granted · 1 fresh · 2 held by another · 3 stale, held by another · 4 stale, granted · 5 blocked: load, do not fill
--
-- Both keys are read in every case: 7.0 tracks the keys that a script declares, 7.2 and later those that it reads. A lease's value is token@epoch|stamp: the
-- stamp is the entry's PEXPIRETIME (-2 absent, -1 without end), which any foreign write changes. After the own SET the lease is read again, as an own write ends the tracking.
local now = -1
local function time()
  if now < 0 then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return now
end

local mine = ARGV[1] .. '@' .. ARGV[3]
local began = tonumber(ARGV[4])
local sliding = tonumber(ARGV[7])
local replies = {}
for i = 1, #KEYS, 2 do
  -- A key of another type is as good as a value that cannot be read: the fill overwrites it.
  local value = redis.pcall('GET', KEYS[i])
  local left = -2
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
    value = false
    left = -3
  end
  local lease = redis.call('GET', KEYS[i + 1])
  local life = tonumber(ARGV[8 + (i + 1) / 2])
  local grace = tonumber(ARGV[5])
  if value then
    left = redis.call('PTTL', KEYS[i])
    if value == 'null' then
      grace = 0
      life = tonumber(ARGV[6])
    end
    -- Only what was surely written in this epoch: jitter shrinks lives, so an entry looks older than it is, never younger.
    if began > 0 and (left < 0 or left > life or time() - (life - left) < began) then value = false end
    if ARGV[8] ~= '0' then value = false end
  end
  if value and (left < 0 or left > grace) then
    if sliding > 0 and left >= 0 and left - grace < sliding / 2 and value ~= 'null' then
      left = sliding + grace
      redis.call('PEXPIRE', KEYS[i], left)
      redis.call('GET', KEYS[i])
    end
    replies[#replies + 1] = { 1, value, left, false }
  elseif lease and string.sub(lease, 1, 1) == '!' then
    replies[#replies + 1] = { 5, value, redis.call('PTTL', KEYS[i + 1]), false }
  else
    -- Who began before the change that is to be loaded now must not store what it read.
    local holder = lease and ARGV[8] ~= '2' and string.match(lease, '^(.*)|')
    -- A lease of another epoch fills nothing any more: its holder is told so by its own connection. Waiting for its end would be for nothing. Who has no epoch ("-") may still fill,
    -- but where values of another epoch are not believed.
    local epoch = holder and string.match(lease, '@([^|]*)|')
    local void = holder and epoch ~= ARGV[3] and (began > 0 or (epoch and epoch ~= '-' and ARGV[3] ~= '-'))
    if holder == mine then
      replies[#replies + 1] = { value and 4 or 0, value, left, mine }
    elseif holder and not void then
      replies[#replies + 1] = { value and 3 or 2, value, redis.call('PTTL', KEYS[i + 1]), holder }
    else
      redis.call('SET', KEYS[i + 1], mine .. '|' .. redis.call('PEXPIRETIME', KEYS[i]), 'PX', ARGV[2])
      redis.call('GET', KEYS[i + 1])
      replies[#replies + 1] = { value and 4 or 0, value, left, mine }
    end
  end
end
return replies
