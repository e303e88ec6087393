-- KEYS: processes. ARGV: 1 the process.
return {'ok', redis.call('HDEL', KEYS[1], ARGV[1])}
