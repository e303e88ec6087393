-- KEYS: epoch, signers, expiries, counts, processes, entry, and a grant each.
-- ARGV: 6 whether only to look, 7 ID of the use, 8 signer, 9 expires, 10 keep, 11 issued,
-- 12 max_ttl, 13 uses, 14 policy, 15 what is kept longer, 16 and 17 the limits of a grant,
-- 18 the lease of a process, 19 the least time that a reservation is kept, 20 whether the
-- token was issued since this store has been the one that is asked.
local look, id, signer = ARGV[6] == '1', ARGV[7], ARGV[8]
local expires, keep, issued, ttl = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local uses, policy = tonumber(ARGV[13]), ARGV[14]

local function all(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
local lives = {} -- an ID begins with the process that made it up
local function alive(of)
  local process = string.match(of, '^[^:]+')
  if lives[process] == nil then
    local ends = redis.call('HGET', KEYS[5], process)
    lives[process] = ends and tonumber(ends) > tick or false
  end
  return lives[process]
end
local function joined(i, g)
  return {'joined', i - 7, g.instance, g.terms, tonumber(redis.call('HGET', KEYS[i], 'left:' .. g.instance)), tonumber(g.ends) - now}
end

-- A script that comes again finds what it has done.
local entry = all(KEYS[6])
if not look and entry[id] then return {'taken', ARGV[1]} end

-- An open grant is joined. Those of an earlier epoch may have sent more than they know.
local exhausted, opening = false, false
for i = 7, #KEYS do
  local g = all(KEYS[i])
  if not look and g['j' .. id] then return joined(i, g) end
  if g.epoch == ARGV[1] and now < tonumber(g.ends) then
    local left = tonumber(g['left:' .. g.instance])
    if left > 0 and tonumber(g.requests) < tonumber(ARGV[17]) then
      if look then return {'joins', left, tonumber(g.ends) - now} end
      local connections = 0
      for field, instance in pairs(g) do
        if instance == g.instance and string.find(field, '^j.*:') and alive(string.sub(field, 2)) then connections = connections + 1 end
      end
      if connections >= tonumber(ARGV[16]) then return {'in_use'} end
      redis.call('HSET', KEYS[i], 'j' .. id, g.instance)
      redis.call('HINCRBY', KEYS[i], 'requests', 1)
      if g.size == '0' then redis.call('HINCRBY', KEYS[i], 'left:' .. g.instance, -1) end
      return joined(i, g)
    end
    exhausted = true
  end
  for field in pairs(g) do
    if string.find(field, '^o.*:') and alive(string.sub(field, 2)) then opening = true end
  end
end
if opening then return {'in_use'} end

-- What was reserved by a process that is gone counts as spent.
local found, committed, reserved = false, 0, 0
for use, state in pairs(entry) do
  found = true
  if state == 'd' or not alive(use) then committed = committed + 1 else reserved = reserved + 1 end
end

-- The floor of each signer is the largest exp of any entry that may be forgotten by now.
local s = redis.call('HMGET', KEYS[2], signer .. 'p', signer .. 'f', signer .. 'a')
local floor, farthest = tonumber(s[2] or 0), tonumber(s[3] or 0)
local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. text(now), 'LIMIT', 0, 100)
local floors = {}
for _, member in ipairs(over) do
  local of, exp = string.match(member, '^(%S+) (%d+)$')
  floors[of] = math.max(floors[of] or 0, tonumber(exp) * 1000000)
end
floor = math.max(floor, floors[signer] or 0)
if #over == 100 then floor = math.max(floor, math.min(farthest, now)) end -- there may be more
if s[1] and s[1] ~= policy then floor = math.max(floor, farthest) end

local at, vouched = tonumber(known[4]), issued > tonumber(known[4])
local bound = math.huge
if issued == 0 then
  bound = tonumber(redis.call('HGET', KEYS[1], 'b' .. signer) or math.huge)
  if ttl > 0 then bound = math.min(bound, at + ttl) end
  vouched = expires > bound
end

local refused
if committed >= uses then refused = exhausted and 'budget' or 'replayed'
elseif committed + reserved >= uses then refused = 'in_use'
elseif not vouched or not found and (expires <= floor or ARGV[20] ~= '1') then refused = 'unproven'
end
if look then return {refused or 'free'} end

-- What needs memory comes first: without it a script ends there, and nothing is half done.
for of, exp in pairs(floors) do
  if of ~= signer then
    local before = tonumber(redis.call('HGET', KEYS[2], of .. 'f') or 0)
    redis.call('HSET', KEYS[2], of .. 'f', text(math.max(before, exp)))
  end
end
if floors[signer] or not refused and (s[1] ~= policy or expires > farthest) then
  if not refused then s[1], farthest = policy, math.max(farthest, expires) end
  redis.call('HSET', KEYS[2], signer .. 'f', text(floor), signer .. 'a', text(farthest))
  if s[1] then redis.call('HSET', KEYS[2], signer .. 'p', s[1]) end
end
if not refused then
  if bound < math.huge then redis.call('HSET', KEYS[1], 'b' .. signer, text(bound)) end
  redis.call('HSET', KEYS[6], id, 'r')
  local member = signer .. ' ' .. text(math.ceil(expires / 1000000))
  if not found then
    redis.call('HINCRBY', KEYS[4], member, 1)
    redis.call('HINCRBY', KEYS[4], 'all', 1)
  end
  redis.call('ZADD', KEYS[3], 'GT', text(keep), member)
  local lasts = math.ceil(math.max(keep + tonumber(ARGV[15]) - now, tonumber(ARGV[19])) / 1000)
  if redis.call('PTTL', KEYS[6]) < lasts then redis.call('PEXPIRE', KEYS[6], text(lasts)) end
  for i = 7, #KEYS do
    redis.call('HSET', KEYS[i], 'o' .. id, '')
    if redis.call('PTTL', KEYS[i]) < lasts then redis.call('PEXPIRE', KEYS[i], text(lasts)) end
  end
  local process = string.match(id, '^[^:]+')
  if tonumber(redis.call('HGET', KEYS[5], process) or 0) < tick + tonumber(ARGV[18]) / 2 then
    redis.call('HSET', KEYS[5], process, text(tick + tonumber(ARGV[18])))
  end
end
for _, member in ipairs(over) do
  local n = redis.call('HGET', KEYS[4], member)
  if n then redis.call('HINCRBY', KEYS[4], 'all', 0 - n) end
  redis.call('HDEL', KEYS[4], member)
  redis.call('ZREM', KEYS[3], member)
end
return {refused or 'taken', ARGV[1]}
