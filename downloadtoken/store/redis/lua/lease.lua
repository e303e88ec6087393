-- KEYS: epoch, grant. ARGV: 6 instance of the grant, 7 bytes that are needed, 8 the largest block,
-- 9 how long to keep the grant, at least: what downloads goes on when its window has ended.
local field = 'left:' .. ARGV[6]
local g = redis.call('HMGET', KEYS[2], field, 'epoch')
if not g[1] or g[2] ~= ARGV[1] then return {'gone'} end
local left = tonumber(g[1])
local block = math.min(left, math.max(tonumber(ARGV[7]), math.min(tonumber(ARGV[8]), math.floor(left / 16))))
if block <= 0 then return {'ok', 0, left, redis.call('HSETNX', KEYS[2], 'told', '1')} end
redis.call('HINCRBY', KEYS[2], field, text(-block))
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[9]) / 1000 then redis.call('PEXPIRE', KEYS[2], text(tonumber(ARGV[9]) / 1000)) end
return {'ok', block, left - block, 0}
