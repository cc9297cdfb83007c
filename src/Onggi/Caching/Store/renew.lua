-- Purpose: lengthens leases, or gives them back.
-- Why a script: only the holder may do either.
-- KEYS: leases
-- ARGV: 1 token@epoch · 2 lease in ms, 0 to give back
-- Returns: for each 1 done · 0 it is no longer ours
local done = {}
for i = 1, #KEYS do
  local lease = redis.call('GET', KEYS[i])
  if not lease or string.match(lease, '^(.*)|') ~= ARGV[1] then
    done[i] = 0
  elseif ARGV[2] == '0' then
    done[i] = redis.call('DEL', KEYS[i])
  else
    done[i] = redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
return done
