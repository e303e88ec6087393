-- Begins every script that needs a time. Times are in microseconds.
local time = redis.call('TIME')
local tick = time[1] * 1000000 + time[2]
local caller, now = tonumber(ARGV[3]), tick
if ARGV[4] == '1' then now = caller end -- tests set the clock
local function text(number) return string.format('%.0f', number) end
