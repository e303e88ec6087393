-- Begins every script that judges. What this server is: run_id changes with every start,
-- master_replid with every promotion. Times are in microseconds.
local function info(section, name)
  local text = redis.call('INFO', section)
  local _, at = string.find(text, name .. ':', 1, true)
  return string.sub(text, at + 1, string.find(text, '\r', at, true) - 1)
end
local server = info('server', 'run_id') .. ' ' .. info('replication', 'master_replid')
local time = redis.call('TIME')
local tick = time[1] * 1000000 + time[2]
local caller, now = tonumber(ARGV[3]), tick
if ARGV[4] == '1' then now = caller end -- tests set the clock
local function text(number) return string.format('%.0f', number) end
