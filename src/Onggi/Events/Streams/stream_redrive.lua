-- Purpose: takes an event out of quarantine and appends it to the stream again, for the group that could not do it.
-- Why a script: appending and removing as two commands would, cut in between, do it twice or lose it.
-- KEYS: 1 stream · 2 quarantine, STREAM
-- ARGV: 1 group · 2 id in the quarantine
-- Returns: 1, or 0 when it is not there (any more)
local entry = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])[1]
if not entry then
  return 0
end
-- The first four fields are the quarantine's own; those for a group may have been put in by an earlier time.
local fields = { 'for', ARGV[1] }
for i = 9, #entry[2], 2 do
  if entry[2][i] ~= 'for' then
    fields[#fields + 1] = entry[2][i]
    fields[#fields + 1] = entry[2][i + 1]
  end
end
redis.call('XADD', KEYS[1], '*', unpack(fields))
redis.call('XDEL', KEYS[2], ARGV[2])
return 1
