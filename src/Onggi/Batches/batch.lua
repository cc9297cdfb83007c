-- Purpose: reads and changes entries in one step: those of an atomic batch, or one whose life begins anew.
-- Why a script: nobody's command comes between. A full Redis refuses the first write, before anything is changed, or none.
-- KEYS: 1 entry · 2 its lease · 3 entry · 4 its lease …, all of one slot
-- ARGV: for each entry: g, s, d or e · value, of s · life in ms, of s and e · grace in ms, of e · life of a "not found" in ms, of e
-- Returns: for each g { value or false, ms left, -3 for a key of another type } · s 1 · d how many keys were removed · e 1, 0 where there is nothing within its life, -3 for a key of another type
--
-- A value past its life is not brought back: its grace is for those who cannot load it anew. "Not found" has no grace.
local replies = {}
for i = 1, #KEYS, 2 do
  local key, lease = KEYS[i], KEYS[i + 1]
  local at = (i - 1) / 2 * 5
  local op = ARGV[at + 1]
  if op == 's' then
    redis.call('SET', key, ARGV[at + 2], 'PX', ARGV[at + 3])
    redis.call('DEL', lease)
    replies[#replies + 1] = 1
  elseif op == 'd' then
    replies[#replies + 1] = redis.call('UNLINK', key, lease)
  else
    local value = op == 'g' and redis.pcall('GET', key) or op == 'e' and redis.pcall('GETRANGE', key, 0, 4)
    if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
      return value
    elseif type(value) == 'table' then
      replies[#replies + 1] = op == 'g' and { false, -3 } or -3
    elseif op == 'g' then
      replies[#replies + 1] = { value, redis.call('PTTL', key) }
    else
      local left = redis.call('PTTL', key)
      local grace = value == 'null' and 0 or tonumber(ARGV[at + 4])
      if left == -1 or left > grace then
        replies[#replies + 1] = redis.call('PEXPIRE', key, value == 'null' and ARGV[at + 5] or ARGV[at + 3])
      else
        replies[#replies + 1] = 0
      end
    end
  end
end
return replies
