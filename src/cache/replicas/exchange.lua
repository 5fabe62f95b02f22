-- Adds what became of writes to the log that replicas share, tells all who listen, and answers with
-- the entries that the caller has not read. The newest entry is the first.
-- KEYS: the log. ARGV: the channel, the entry that was read last ("seq tag"), the tag of an entry
-- that is added, its items, the life of the log in ms, the most entries.
local log, channel, known, tag, items = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local life, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local function number(text)
  return tonumber(string.match(text or '', '^%d+')) or 0
end

local newest = number(redis.call('LINDEX', log, 0))
-- An empty log gets an entry without items, so that another one is told from it later.
if items ~= '' or newest == 0 then
  newest = newest + 1
  local entry = string.format('%.0f', newest) .. ' ' .. tag .. ' ' .. now .. ' ' .. items
  redis.call('LPUSH', log, entry)
  redis.call('LTRIM', log, 0, most - 1)
  redis.call('PUBLISH', channel, entry)
end
if redis.call('PTTL', log) < life / 2 then
  redis.call('PEXPIRE', log, life)
end

local behind = newest - number(known)
local which, entries = 'whole', nil
if known ~= '' and behind >= 0 and behind < most then
  local read = redis.call('LINDEX', log, behind)
  if read and string.sub(read, 1, #known + 1) == known .. ' ' then
    which = 'part'
    entries = behind > 0 and redis.call('LRANGE', log, 0, behind - 1) or {}
  end
end
entries = entries or redis.call('LRANGE', log, 0, -1)

local answer = { now .. ' ' .. which }
for at = #entries, 1, -1 do
  answer[#answer + 1] = entries[at]
end
return table.concat(answer, '\n')
