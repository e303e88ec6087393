-- KEYS: epoch, revocations.
return {'ok', redis.call('HGET', KEYS[1], 'revision'), redis.call('GET', KEYS[2]) or ''}
