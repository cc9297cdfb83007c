#!lua flags=allow-oom
-- Purpose: tells which life of which server this is, and agrees on how long memory may answer unproven.
-- Why a script: two nodes that come at once must agree, and the bound must only grow.
-- KEYS: 1 the epoch, "id began bound"
-- ARGV: 1 the bound that this node asks for, in ms
-- Returns: { epoch, when it began in ms, role, bound in force in ms, 1 when there was none: Redis was empty }
--
-- The epoch changes with every start of the server and every promotion, and is gone after FLUSHALL or when another database is swapped in.
-- allow-oom: a Redis that is full must not turn the fleet's memory off as well.
local id = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), 1, 12)
local replication = redis.call('INFO', 'replication')
id = id .. string.sub(string.match(replication, 'master_replid:(%w+)'), 1, 12)
local role = string.match(replication, 'role:(%w+)')
if role ~= 'master' then return { '', 0, role, 0, 0 } end
local known = redis.call('GET', KEYS[1])
local epoch, began, bound
if known then epoch, began, bound = string.match(known, '^(%w+) (%d+) (%d+)$') end
local asked = tonumber(ARGV[1])
bound = tonumber(bound or '0')
if epoch ~= id or bound < asked then
  if epoch ~= id then
    local t = redis.call('TIME')
    began = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
  end
  if bound < asked then bound = asked end
  redis.call('SET', KEYS[1], id .. ' ' .. began .. ' ' .. string.format('%.0f', bound))
end
return { id, tonumber(began), role, bound, known and 0 or 1 }
