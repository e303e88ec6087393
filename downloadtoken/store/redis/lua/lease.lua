-- KEYS: epoch, grant. ARGV: 6 instance of the grant, 7 bytes that are needed, 8 the largest block.
local g = redis.call('HMGET', KEYS[2], 'instance', 'left', 'epoch')
if g[1] ~= ARGV[6] or g[3] ~= ARGV[1] then return {'gone'} end
local left = tonumber(g[2])
local block = math.min(left, math.max(tonumber(ARGV[7]), math.min(tonumber(ARGV[8]), math.floor(left / 16))))
if block <= 0 then return {'ok', 0, left, redis.call('HSETNX', KEYS[2], 'told', '1')} end
redis.call('HINCRBY', KEYS[2], 'left', text(-block))
return {'ok', block, left - block, 0}
