-- Purpose: lengthens leases, or gives them back.
-- Why a script: only the holder may do either, and a lease that can no longer fill must not pass for a good one.
-- KEYS: 1 entry · 2 its lease · 3 entry · 4 its lease …
-- ARGV: 1 token@epoch · 2 lease in ms, 0 to give back
-- Returns: for each lease 1 done · 0 it is no longer ours, or somebody has written the entry since: then it is gone
--
-- Who joins a load counts on what this says: a load that began before a foreign write is of no use to who comes after it. By the rule of fill.lua.
local done = {}
for i = 1, #KEYS, 2 do
  local lease = redis.call('GET', KEYS[i + 1])
  local holder, stamp = string.match(lease or '', '^(.*)|(-?%d+)$')
  if holder ~= ARGV[1] then
    done[#done + 1] = 0
  elseif ARGV[2] == '0' then
    done[#done + 1] = redis.call('DEL', KEYS[i + 1])
  else
    local expires = string.format('%.0f', redis.call('PEXPIRETIME', KEYS[i]))
    local over = false
    if expires == '-2' and tonumber(stamp) > 0 then
      local t = redis.call('TIME')
      over = t[1] * 1000 + math.floor(t[2] / 1000) >= tonumber(stamp)
    end
    if expires == stamp or over then
      done[#done + 1] = redis.call('PEXPIRE', KEYS[i + 1], ARGV[2])
    else
      redis.call('DEL', KEYS[i + 1])
      done[#done + 1] = 0
    end
  end
end
return done
