-- KEYS: epoch, entry, and a grant each. ARGV: 6 ID of the use, 7 which grant it opens (0:
-- none), 8 how long, 9 size, 10 budget, 11 terms, 12 what is kept longer, 13 whether it opens none any more,
-- 14 epoch of the reservation. In another one, the grant may have been open before.
if ARGV[14] ~= ARGV[1] then return {'gone'} end
local id, opens = ARGV[6], tonumber(ARGV[7])
local state = redis.call('HGET', KEYS[2], id)
if not state then return {'gone'} end
if state ~= 'd' then redis.call('HSET', KEYS[2], id, 'd') end
local left = tonumber(ARGV[10])
if opens > 0 then
  local key = KEYS[2 + opens]
  if redis.call('HGET', key, 'instance') == id then
    left = tonumber(redis.call('HGET', key, 'left:' .. id)) -- it comes again
  else
    if ARGV[9] == '0' then left = left - 1 end
    if redis.call('HGET', key, 'epoch') ~= ARGV[1] then redis.call('DEL', key) end
    -- What still downloads by the grant before goes on.
    local fields, held = redis.call('HGETALL', key), {}
    for i = 1, #fields, 2 do
      if string.find(fields[i], '^j.*:') then held['left:' .. fields[i + 1]] = true end
    end
    for i = 1, #fields, 2 do
      if string.find(fields[i], '^left:') and not held[fields[i]] then redis.call('HDEL', key, fields[i]) end
    end
    redis.call('HDEL', key, 'told')
    redis.call('HSET', key, 'instance', id, 'epoch', ARGV[1], 'terms', ARGV[11], 'size', ARGV[9],
      'left:' .. id, text(left), 'requests', 1, 'ends', text(now + tonumber(ARGV[8])), 'j' .. id, id)
    local lasts = math.ceil((tonumber(ARGV[8]) + tonumber(ARGV[12])) / 1000)
    if redis.call('PTTL', key) < lasts then redis.call('PEXPIRE', key, text(lasts)) end
  end
end
if ARGV[13] == '1' then
  for i = 3, #KEYS do redis.call('HDEL', KEYS[i], 'o' .. id) end
end
return {'ok', left}
