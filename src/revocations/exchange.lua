-- Adds revoked keys to those that all replicas know, and answers with all of them if the caller
-- does not know their present state. The state has a random name, which a Redis that lost them can't
-- repeat.
-- KEYS: the revoked keys, the name of their state. ARGV: a new name, the name that the caller knows,
-- then pairs of a field and its text.
for at = 3, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1]) == 1 then
    redis.call('SET', KEYS[2], ARGV[1])
  end
end
local name = redis.call('GET', KEYS[2]) or ''
if name == ARGV[2] then return name end
local answer = redis.call('HVALS', KEYS[1])
table.insert(answer, 1, name)
return table.concat(answer, '\n')
