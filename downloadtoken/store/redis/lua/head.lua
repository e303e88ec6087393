-- Begins every script that honours something: nothing is done unless this server has the
-- epoch and the revocations that the caller knows, and a clock near the caller's.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'server', 'revision', 'at')
if known[1] ~= ARGV[1] or known[2] ~= server then return {'epoch'} end
if known[3] ~= ARGV[2] then return {'stale'} end
if math.abs(now - caller) > tonumber(ARGV[5]) then return {'skew'} end
