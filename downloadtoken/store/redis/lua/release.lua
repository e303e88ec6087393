-- KEYS: entry, counts, and a grant each. ARGV: 1 ID of the use, 2 what it counts as, 3 whether
-- it is given back, 4 bytes that are. An ID is used once, so it may come late, and again.
local id, found, back = ARGV[1], 0, ARGV[3] == '1'
for i = 3, #KEYS do
  if back and redis.call('HGET', KEYS[i], 'instance') == id then -- committed, though nobody here was told
    if redis.call('HGET', KEYS[i], 'requests') == '1' then
      redis.call('DEL', KEYS[i])
      found = 1
    else
      back = false -- others have joined
    end
  end
  local joined = redis.call('HGET', KEYS[i], 'j' .. id)
  if joined then
    found = 1
    redis.call('HDEL', KEYS[i], 'j' .. id)
    if ARGV[4] ~= '0' then redis.call('HINCRBY', KEYS[i], 'left:' .. joined, ARGV[4]) end
  end
  if redis.call('HDEL', KEYS[i], 'o' .. id) == 1 then found = 1 end
end
if back and redis.call('HDEL', KEYS[1], id) == 1 then
  found = 1
  if redis.call('EXISTS', KEYS[1]) == 0 and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
    redis.call('HINCRBY', KEYS[2], ARGV[2], -1)
    redis.call('HINCRBY', KEYS[2], 'all', -1)
  end
end
return {'ok', found}
