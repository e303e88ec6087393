-- Begins every script that judges by what the server knows: nothing is done unless it has
-- the epoch and the revocations that the caller knows, and a clock near the caller's.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'server', 'revision', 'at')
if known[1] ~= ARGV[1] then return {'epoch'} end
if known[3] ~= ARGV[2] then return {'stale'} end
if math.abs(now - caller) > tonumber(ARGV[5]) then return {'skew'} end
