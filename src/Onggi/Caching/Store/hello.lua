#!lua flags=allow-oom
-- Purpose: tells which life of which server this is, and agrees on how long memory may answer unproven.
-- Why a script: two nodes that come at once must agree, and the bound must only grow.
-- KEYS: 1 the epoch, "id began bound", and behind that " ceiling since" where an operator has set one
-- ARGV: 1 the bound that this node asks for, in ms
-- Returns: { epoch, when it began in ms, role, bound in force in ms, 1 when there was none: Redis was empty, ceiling in ms or 0, what stands in the key }
--
-- The epoch changes with every start of the server and every promotion, and is gone after FLUSHALL or when another database is swapped in.
-- The bound is what a strict invalidation waits for. No memory answers for longer than the ceiling, whatever its node asks for; see bound.lua.
-- allow-oom: a Redis that is full must not turn the fleet's memory off as well.
local id = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), 1, 12)
local replication = redis.call('INFO', 'replication')
id = id .. string.sub(string.match(replication, 'master_replid:(%w+)'), 1, 12)
local role = string.match(replication, 'role:(%w+)')
if role ~= 'master' then return { '', 0, role, 0, 0, 0, '' } end
local known = redis.call('GET', KEYS[1])
local text = known or ''
local epoch, began, bound, tail = string.match(text, '^(%w+) (%d+) (%d+)(.*)$')
local ceiling = tail and string.match(tail, '^ (%d+) %d+$')
-- What else stands behind is not ours, and goes.
if not ceiling and tail ~= '' then epoch, tail = nil, '' end
local asked = tonumber(ARGV[1])
if ceiling and asked > tonumber(ceiling) then asked = tonumber(ceiling) end
bound = tonumber(bound or '0')
if epoch ~= id or bound < asked then
  if epoch ~= id then
    local t = redis.call('TIME')
    began = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
  end
  if bound < asked then bound = asked end
  text = id .. ' ' .. began .. ' ' .. string.format('%.0f', bound) .. tail
  redis.call('SET', KEYS[1], text)
end
return { id, tonumber(began), role, bound, known and 0 or 1, tonumber(ceiling or '0'), text }
