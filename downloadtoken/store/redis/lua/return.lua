-- KEYS: grant. ARGV: 1 instance of the grant, 2 bytes.
if redis.call('HGET', KEYS[1], 'instance') == ARGV[1] then redis.call('HINCRBY', KEYS[1], 'left', ARGV[2]) end
return {'ok'}
