-- Purpose: takes a lock that nobody holds, and gives its holder a fence greater than all before it.
-- Why a script: looking, numbering and taking must be one step, or two callers take it, or a fence is given twice.
-- KEYS: 1 lock, STRING owner|fence · 2 the last fence, STRING
-- ARGV: 1 owner · 2 the lease in ms · 3 how long the last fence is kept in ms
-- Returns: { 1, fence } taken, or held already by this owner: asked twice, it is the same lease, lengthened · { 0, ms } another holds it for so long, -1 without an end
--
-- The fence is the server's time in microseconds, or one more than the last where that is not greater. So it grows also when the key of
-- the last one is lost (restart without data, failover to a replica that lagged), unless the clock steps back further than the time between.
local held = redis.call('GET', KEYS[1])
if held then
  local owner, fence = string.match(held, '^(.*)|(%d+)$')
  if owner ~= ARGV[1] then
    return { 0, redis.call('PTTL', KEYS[1]) }
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return { 1, tonumber(fence) }
end
local time = redis.call('TIME')
local fence = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[2]) or 0) or 0
if last >= fence then
  fence = last + 1
end
local text = string.format('%.0f', fence)
redis.call('SET', KEYS[2], text, 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1] .. '|' .. text, 'PX', ARGV[2])
return { 1, fence }
