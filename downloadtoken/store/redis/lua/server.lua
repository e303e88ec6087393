-- What a server is: run_id changes with every start, master_replid with every start and
-- every promotion of one that is written to.
local function field(text, name)
  local _, at = string.find(text, name .. ':', 1, true)
  return string.sub(text, at + 1, string.find(text, '\r', at, true) - 1)
end
local replication = redis.call('INFO', 'replication')
local master, replid = field(replication, 'role') == 'master', field(replication, 'master_replid')
