-- What became of a send. KEYS[1]: the sends with one request. ARGV: its key, its count, and what
-- became of it: 'a' its answer was accepted, 'd' it is in doubt, 'x' it was never sent.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then return 0 end
local begun, count, state = string.match(known, '^(%d+) (%d+) (%a)$')
-- A retry has taken it up, or its client has its answer.
if count ~= ARGV[2] or state == 'a' then return 0 end
if ARGV[3] == 'x' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[1], ARGV[1], begun .. ' ' .. count .. ' ' .. ARGV[3])
return 1
