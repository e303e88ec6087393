-- KEYS: grant. ARGV: 1 instance of the grant, 2 bytes.
local field = 'left:' .. ARGV[1]
if redis.call('HEXISTS', KEYS[1], field) == 1 then redis.call('HINCRBY', KEYS[1], field, ARGV[2]) end
return {'ok'}
