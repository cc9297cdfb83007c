-- Purpose: puts values that somebody knows to be right, and withdraws the rights to fill them.
-- Why a script: a load that runs must not overwrite what was put after it began.
-- KEYS: 1 entry · 2 its lease · 3 entry · 4 its lease …
-- ARGV: for each entry: value, its life in ms
-- Returns: how many were put
for i = 1, #KEYS, 2 do
  redis.call('SET', KEYS[i], ARGV[i], 'PX', ARGV[i + 1])
  redis.call('DEL', KEYS[i + 1])
end
return #KEYS / 2
