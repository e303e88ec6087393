-- KEYS: epoch, processes. ARGV: 1 epoch and 6 its number as this process knows them, 7 the
-- latest time that it has seen on a server, 8 a random name, 9 the process, 10 its lease,
-- 11 the oldest version that will do.
if not master then return {'replica'} end
local info = redis.call('INFO', 'server')
local server, version = field(info, 'run_id') .. ' ' .. replid, field(info, 'redis_version')
local major, minor = string.match(version, '^(%d+)%.(%d+)')
if major * 100 + minor < tonumber(ARGV[11]) then return {'old', version} end
if math.abs(now - caller) > tonumber(ARGV[5]) then return {'skew', now - caller} end
local e = redis.call('HMGET', KEYS[1], 'layout', 'epoch', 'number', 'server', 'at', 'revision', 'evicted')
if e[1] and e[1] ~= '1' then return {'layout', e[1]} end
local number, seen = tonumber(e[3] or 0), tonumber(ARGV[6])
local evicted, recorded = tonumber(field(redis.call('INFO', 'stats'), 'evicted_keys')), tonumber(e[7] or 0)
local why = ''
if not e[2] then why = 'it has none, as if it were new or had lost its data'
elseif e[4] ~= server then why = 'it was restarted or promoted, or has got its first replica, or lost its last one for repl-backlog-ttl'
elseif number < seen or number == seen and e[2] ~= ARGV[1] then why = 'its data are older than what it has shown before'
elseif evicted > recorded then why = 'it has evicted keys'
end
if why ~= '' then
  number = math.max(number, seen) + 1
  e[2] = text(number) .. '.' .. ARGV[8]
  e[5] = text(math.max(now, tonumber(ARGV[7])) + tonumber(ARGV[5]))
  e[6] = e[6] or '0'
  redis.call('DEL', KEYS[1])
end
if why ~= '' or evicted ~= recorded then
  redis.call('HSET', KEYS[1], 'layout', '1', 'epoch', e[2], 'number', text(number), 'server', server,
    'at', e[5], 'revision', e[6], 'evicted', text(evicted))
end
redis.call('HSET', KEYS[2], ARGV[9], text(tick + tonumber(ARGV[10])))
local processes = redis.call('HGETALL', KEYS[2])
for i = 1, #processes, 2 do
  if tonumber(processes[i + 1]) < tick - 3600000000 then redis.call('HDEL', KEYS[2], processes[i]) end
end
return {'ok', e[2], number, e[5], e[6], field(redis.call('INFO', 'memory'), 'maxmemory_policy'), now, why,
  field(replication, 'connected_slaves')}
