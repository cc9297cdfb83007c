-- Purpose: lets a write through that comes with a fence, unless one with a greater fence has come before.
-- Why a script: comparing, remembering and writing must be one step, or a holder that was paused writes between.
-- KEYS: 1 the greatest fence seen, STRING · 2 what is guarded · 3 the right to fill it, withdrawn as every writer of the cache does
-- ARGV: 1 fence · 2 how long the fence is remembered in ms · 3 set, delete or check · 4 value · 5 its life in ms
-- Returns: 1 let through · 0 refused
local seen = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
if tonumber(ARGV[1]) < seen then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] == 'set' then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
  redis.call('DEL', KEYS[3])
elseif ARGV[3] == 'delete' then
  redis.call('DEL', KEYS[2], KEYS[3])
end
return 1
