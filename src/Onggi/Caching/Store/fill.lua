-- Purpose: stores what a loader made, if the right to do so still stands.
-- Why a script: between looking at the lease and storing the value an invalidation could pass, and the old value would stay.
-- KEYS: 1 entry · 2 its lease · 3 entry · 4 its lease …
-- ARGV: 1 token@epoch · then for each entry: value, its life in ms · last, where it comes over a connection that was not greeted: 1
-- Returns: for each entry 1 stored · 0 the lease is lost · 2 a foreign write or delete is respected · 3 Redis is full
--
-- A connection that was not greeted can lead to a server that took over, to which a lagging replica has brought a lease of before, and the value is no longer to be stored: so
-- this server says itself whether it is the one that gave the lease, by the names of hello.lua. Who was given no epoch ("-") is asked nothing.
local gave = true
local epoch = string.match(ARGV[1], '@([^@]*)$')
if #ARGV % 2 == 0 and epoch ~= '-' then
  local id = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), 1, 12)
  id = id .. string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)'), 1, 12)
  gave = id == epoch
end
local codes = {}
for i = 1, #KEYS, 2 do
  local code = 0
  local lease = gave and redis.call('GET', KEYS[i + 1])
  if lease then
    local holder, stamp = string.match(lease, '^(.*)|(-?%d+)$')
    if holder == ARGV[1] then
      code = 1
      local expires = string.format('%.0f', redis.call('PEXPIRETIME', KEYS[i]))
      if expires ~= stamp then
        -- Changed since the grant; only the natural end of the old value is harmless.
        local t = redis.call('TIME')
        local over = expires == '-2' and tonumber(stamp) > 0 and t[1] * 1000 + math.floor(t[2] / 1000) >= tonumber(stamp)
        if not over then code = 2 end
      end
      if code == 1 then
        local stored = redis.pcall('SET', KEYS[i], ARGV[i + 1], 'PX', ARGV[i + 2])
        if stored.err then code = 3 end
      end
      redis.call('DEL', KEYS[i + 1])
    end
  end
  codes[#codes + 1] = code
end
return codes
