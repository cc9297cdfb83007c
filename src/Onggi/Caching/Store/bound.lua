-- Purpose: sets the longest that any memory of the fleet may answer unproven, or takes that away.
-- Why a script: a node that greets the server meanwhile must not be overwritten.
-- KEYS: 1 the epoch, as in hello.lua
-- ARGV: 1 the ceiling in ms, 0 for none · 2 0 to set it; or since when it stands, once the old bound is over: then the bound comes down to it
-- Returns: { bound in force in ms, ceiling in ms or 0, since when in ms or 0 }; an empty list where nobody has greeted this server
--
-- Two steps, because a memory that has not heard yet goes on under the old bound: until that is over a strict invalidation must wait for it. In the second step "since"
-- shows that nobody has taken the ceiling away in between, under which the nodes would have begun anew to answer for longer.
local known = redis.call('GET', KEYS[1])
local id, began, bound, tail = string.match(known or '', '^(%w+) (%d+) (%d+)(.*)$')
if not id then return {} end
local ceiling, since = string.match(tail, '^ (%d+) (%d+)$')
if not ceiling and tail ~= '' then return {} end
if ARGV[2] ~= '0' then
  if ceiling == ARGV[1] and since == ARGV[2] and tonumber(bound) > tonumber(ceiling) then bound = ceiling end
elseif ARGV[1] == '0' then
  ceiling, since = nil, nil
elseif ceiling ~= ARGV[1] then
  local t = redis.call('TIME')
  ceiling, since = ARGV[1], string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
end
local text = id .. ' ' .. began .. ' ' .. bound .. (ceiling and (' ' .. ceiling .. ' ' .. since) or '')
if text ~= known then redis.call('SET', KEYS[1], text) end
return { tonumber(bound), tonumber(ceiling or '0'), tonumber(since or '0') }
