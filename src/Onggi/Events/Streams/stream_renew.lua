#!lua flags=allow-oom
-- Purpose: says that a consumer still works on its messages, so that nobody takes them over.
-- Why a script: a message that another has taken over meanwhile must not be taken back from it.
-- KEYS: 1 stream
-- ARGV: 1 group · 2 consumer · 3… ids
-- Returns: the ids that are another's now, or settled
local lost = {}
for i = 3, #ARGV do
  local state = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if state and state[2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
