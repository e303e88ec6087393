-- KEYS: epoch, revocations. ARGV: 6 all of them.
redis.call('SET', KEYS[2], ARGV[6])
return {'ok', redis.call('HINCRBY', KEYS[1], 'revision', 1)}
