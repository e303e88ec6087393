-- KEYS: epoch, signers, expiries, counts.
local entries, floor = tonumber(redis.call('HGET', KEYS[4], 'all') or 0), 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. text(now), 'LIMIT', 0, 1000)) do
  entries = entries - tonumber(redis.call('HGET', KEYS[4], member) or 0)
  floor = math.max(floor, tonumber(string.match(member, '(%d+)$')) * 1000000)
end
local signers = redis.call('HGETALL', KEYS[2])
for i = 1, #signers, 2 do
  if string.sub(signers[i], -1) == 'f' then floor = math.max(floor, tonumber(signers[i + 1])) end
end
return {'ok', entries, floor}
