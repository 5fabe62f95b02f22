-- The key of a send, which all replicas then know. KEYS[1]: the sends with one request.
-- ARGV: 1 a key for it; 2 how often its SDK sent it before; 3 'known' if that key is settled, or
-- 'asks' if an earlier send's comes first; 4 the count of an SDK that counts nothing; 5 the life in
-- ms; 6 the most sends; 7 the key that the replica itself would take, or ''.
-- A field is a key. Its value: its time, its count, and what became of it: 'w' it waits, 'a' its
-- answer was accepted, 'd' it is in doubt.
local own, count, settled = ARGV[1], tonumber(ARGV[2]), ARGV[3] == 'known'
local uncounted, life, most = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local all, left = redis.call('HGETALL', KEYS[1]), {}
local best, rank, since
-- What the replica would take counts only if nobody told that it is over.
local known, over = ARGV[7] ~= '' and ARGV[7], {}
for at = 1, #all, 2 do
  local key = all[at]
  local begun, before, state = string.match(all[at + 1], '^(%d+) (%d+) (%a)$')
  begun, before = tonumber(begun), tonumber(before)
  if not begun or now - begun >= life * 1000 then
    redis.call('HDEL', KEYS[1], key)
  else
    -- A doubt may not be told yet. It is no reason for a second send.
    over[key] = count ~= uncounted or state == 'a'
    left[#left + 1] = { key, begun, state == 'a' and 0 or 1 }
    local fits
    if settled then
      fits = key == own and 0
    elseif count == uncounted then
      fits = before == count and state == 'd' and 0
    elseif before < count then
      fits = (state == 'a' and 2 or 0) + (before + 1 == count and 0 or 1)
    end
    if fits and (not rank or fits < rank or (fits == rank and begun < since)) then
      best, rank, since = key, fits, begun
    end
  end
end
if not best and #left >= most then
  -- An accepted one is missed least, then the oldest.
  table.sort(left, function(one, two)
    if one[3] ~= two[3] then return one[3] < two[3] end
    return one[2] < two[2]
  end)
  for at = 1, #left - most + 1 do redis.call('HDEL', KEYS[1], left[at][1]) end
end
-- The two minutes of a send that nobody counts don't begin anew.
local begun = count == uncounted and since or now
local key = best or (known and not over[known] and known) or own
redis.call('HSET', KEYS[1], key, string.format('%.0f %s w', begun, ARGV[2]))
redis.call('PEXPIRE', KEYS[1], life)
return key
