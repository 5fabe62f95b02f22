-- The ledger of a quota that replicas share: who owns which block of a connection's slots.
-- KEYS[1] state of the connection; KEYS[2] the store's watch. ARGV[1] request (JSON): a sync, or a look without `r`.
-- ARGV[2], ARGV[3] the clock (ms) and the store's run: tests only.
-- State, times in ms of L: inc incarnation, ep epoch, en its number, T last TIME seen, R raw clock, L fleet clock, uh when
-- unclaimed blocks are usable, nid last record id, reps[name] = {id, seq last executed, R raw clock then, E lease end,
-- g[pool] granted then, ap[pool] = [[app, weight, demand, class]...]}, pools[name] = {n blocks, v version of the limit, o[i] owner
-- (0 nobody, -1 unclaimed), u[i] when usable if not used since, d[i] when usable if its owner is never heard of again}.
-- Watch: birth:since:last. Since when somebody looked at this store at least each SIGHT, by its own clock.
local STEP, THETA, GAMMA, SIGHT = 2000, 250, 500, 15000          -- ms
local BULK = 20                                                   -- one block in so many is bulk's if it wants it
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local q, now, run = cjson.decode(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if not now then
  local t = redis.call('TIME'); now = t[1] * 1000 + floor(t[2] / 1000)
  run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. ':' ..
        string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end
local birth, since, last = string.match(redis.call('GET', KEYS[2]) or '', '^([^:]*):(%d+):(%d+)$')
since, last = tonumber(since), tonumber(last)
if not birth then birth, since = q.nonce, now
elseif now < last or now - last > SIGHT then since = now end
redis.call('SET', KEYS[2], string.format('%s:%.0f:%.0f', birth, since, now))
local inc = run .. ':' .. birth
if not q.r then return cjson.encode({st = 'seen', inc = inc}) end
local raw = redis.call('GET', KEYS[1]); local S = raw and cmsgpack.unpack(raw)
local function done(r) redis.call('SET', KEYS[1], cmsgpack.pack(S)); r.seq = q.seq; return cjson.encode(r) end
-- 1 epoch: state missing, written under another incarnation, older than what the caller has seen, or nobody wrote it for Q
-- and nobody knows that no other store was in this one's place meanwhile (an old primary is back); or calls were made without it
local gap, r0 = S and now - S.T or 0, S and S.reps[q.r]
if r0 and r0.seq == q.ack then gap = min(gap, q.el + THETA) end
local stale = S and (q.en > S.en or (q.en == S.en and q.ep ~= '' and q.ep ~= S.ep))
local unseen = S and gap >= q.q - STEP and S.T < since and not (q.inc == inc and q.age >= q.q)
if not S or stale or unseen or q.renew or S.inc ~= inc then
  local age = (q.inc == inc and not stale and not unseen and not q.renew) and q.age or 0
  S = {inc = inc, ep = q.nonce, en = max(S and S.en or 0, q.en) + 1, T = now, R = 0, L = 0, uh = max(0, q.q - age), nid = 0, reps = {}, pools = {}}
end
local rec = S.reps[q.r]
if rec and q.seq <= rec.seq then return cjson.encode({st = 'old', seq = q.seq}) end
-- 2 fleet clock L
local adv = min(max(now - S.T, 0), STEP)
S.T = now; S.R = S.R + adv
local fresh = rec ~= nil and rec.seq == q.ack                    -- the caller has seen our last reply to it
if fresh then local over = S.R - rec.R - q.el; if over > THETA then adv = max(0, adv - over) end
else adv = min(adv, THETA) end
S.L = S.L + adv
local L, holds = S.L, false
-- nobody wrote for longer than an awake fleet is silent: slots may have moved in another store. An owner tells how it is.
if gap > STEP then for _, P in pairs(S.pools) do for i = 1, #P.o do
  if P.o[i] > 0 then P.d[i] = max(P.d[i], L + q.q + GAMMA) end end end end
for _, pl in ipairs(q.pools) do if #pl.hold > 0 then holds = true end end
if q.ep ~= S.ep and (q.ep ~= '' or holds) then return done({st = 'epoch', ep = S.ep, en = S.en, inc = inc}) end
-- 3 record of the caller; undo grants whose reply it has not seen
if not rec then S.nid = S.nid + 1; rec = {id = S.nid, ap = {}, g = {}}; S.reps[q.r] = rec end
local me = rec.id
if not fresh then for p, l in pairs(rec.g) do local o = S.pools[p].o
  for _, i in ipairs(l) do if o[i] == me then o[i] = 0 end end end end
rec.g, rec.seq, rec.R, rec.E = {}, q.seq, S.R, L + q.lease + GAMMA
-- 4 the caller's books
local lostof = {}
for x, pl in ipairs(q.pools) do
  local P = S.pools[pl.p]
  if not P then P = {n = pl.n, v = pl.v, o = {}, u = {}, d = {}}; S.pools[pl.p] = P end
  if pl.v > P.v then P.n, P.v = pl.n, pl.v end
  local o, u, d, ret, hold, lost, seen = P.o, P.u, P.d, pl.ret, pl.hold, {}, {}
  for i = #o + 1, P.n do o[i] = -1; u[i] = S.uh; d[i] = S.uh end
  for j = 1, #ret, 2 do local i, rest = ret[j] + 1, ret[j + 1]
    if o[i] == me then o[i] = 0; u[i] = rest > 0 and L + rest + GAMMA or L end end
  for j = 1, #hold, 2 do local i, rest = hold[j] + 1, hold[j + 1]
    if o[i] == me or o[i] == -1 then o[i] = me; d[i] = L + rest + GAMMA; seen[i] = true
    else lost[#lost + 1] = i - 1; if o[i] then d[i] = max(d[i], L + rest + GAMMA) end end end
  for i = 1, #o do if o[i] == me and not seen[i] then o[i] = 0; u[i] = d[i] end end
  rec.ap[pl.p] = pl.apps; lostof[x] = lost
end
if q.bye then rec.E = L end
local holding, live = {}, {}
for _, P in pairs(S.pools) do for i = 1, #P.o do holding[P.o[i]] = true end end
for nm, rc in pairs(S.reps) do
  if rc.E > L then live[#live + 1] = rc elseif not holding[rc.id] then S.reps[nm] = nil end end
table.sort(live, function(a, b) return a.id < b.id end)
-- 5 targets: class by class weighted max-min over apps, an app's share split over replicas by its demand; then reserve; then
-- whole blocks. Classes: 0 interactive calls, 1 what is kept for those to come, 2 bulk calls, of which a part of the pool is sure.
local function targets(n, p, keep)
  local k, zero, bulk, T, people, eff = #live, 0, 0, {}, {}, {}
  for _, rc in ipairs(live) do local t = 0
    for _, a in ipairs(rc.ap[p] or {}) do if a[3] > 0 then t = t + a[3]; if a[4] == 2 then bulk = bulk + a[3] end end end
    T[rc.id], eff[rc.id] = 0, {}
    if t < keep then zero = zero + 1 end end
  local all = max(0, n - keep * zero); local sure = n > 1 and min(bulk, ceil(n / BULK), all) or 0; local c = all - sure
  for class = 0, 2 do
    local W, D, names, wt, share = {}, {}, {}, 0, {}
    if class == 2 then c = c + sure; for i, t in pairs(T) do people[i] = floor(t + 1e-9) end end
    for _, rc in ipairs(live) do for _, a in ipairs(rc.ap[p] or {}) do if a[3] > 0 and a[4] == class then
      if not D[a[1]] then names[#names + 1] = a[1]; D[a[1]] = 0; W[a[1]] = 0 end
      W[a[1]] = max(W[a[1]], a[2]); D[a[1]] = D[a[1]] + a[3] end end end
    table.sort(names, function(a, b) local x, y = D[a] / W[a], D[b] / W[b]; if x == y then return a < b end; return x < y end)
    for _, a in ipairs(names) do wt = wt + W[a] end
    for _, a in ipairs(names) do local s = min(D[a], c * W[a] / wt); share[a] = s; c = c - s; wt = wt - W[a] end
    for _, rc in ipairs(live) do local e = eff[rc.id]; for _, a in ipairs(rc.ap[p] or {}) do if a[3] > 0 and a[4] == class then
      local s = share[a[1]] * a[3] / D[a[1]]; T[rc.id] = T[rc.id] + s
      if class == 0 then e[a[1]] = s end end end end
  end
  local tot = 0
  for _, rc in ipairs(live) do T[rc.id] = max(T[rc.id], keep); tot = tot + T[rc.id] end
  if k > 0 and n > tot then local r = min(floor(n / (2 * k)), floor((n - tot) / k))
    for i in pairs(T) do T[i] = T[i] + r; tot = tot + r end end
  local ids, frac, left = {}, {}, min(n, ceil(tot - 1e-6))
  for _, rc in ipairs(live) do local i = rc.id; local b = floor(T[i] + 1e-9)
    frac[i] = floor((T[i] - b) * 1e6 + 0.5); T[i] = b; left = left - b; ids[#ids + 1] = i end
  table.sort(ids, function(a, b) if frac[a] ~= frac[b] then return frac[a] > frac[b] end; return a < b end)
  for _, i in ipairs(ids) do if left <= 0 then break end; T[i] = T[i] + 1; left = left - 1 end
  while left < 0 do local most = ids[1]    -- what is kept for idle replicas may be more than was left
    for _, i in ipairs(ids) do if T[i] > T[most] or (T[i] == T[most] and i < most) then most = i end end
    T[most] = T[most] - 1; left = left + 1 end
  return T, eff, people
end
-- 6 grants to the caller, and what it shall give back
local rp = {st = 'ok', ep = S.ep, en = S.en, inc = inc, pools = {}}
for x, pl in ipairs(q.pools) do
  local P = S.pools[pl.p]; local n, o, u, d = P.n, P.o, P.u, P.d
  local T, eff, people = targets(n, pl.p, n >= 4 * #live and 1 or 0)
  local own, cand, key, grant, ng, mine = {}, {}, {}, {}, 0, T[me] or 0
  for i in pairs(T) do own[i] = 0 end
  for i = 1, min(n, #o) do local w = o[i]
    if own[w] then own[w] = own[w] + 1
    elseif w == 0 then cand[#cand + 1] = i; key[i] = u[i]
    elseif w ~= -1 or d[i] <= L then cand[#cand + 1] = i; key[i] = d[i] end end    -- lapsed owner, or unclaimed and rested
  local need = q.bye and 0 or max(0, min(mine - own[me], #cand))
  if need > 0 then
    table.sort(cand, function(a, b) if key[a] ~= key[b] then return key[a] < key[b] end; return a < b end)
    local g = {}
    for j = 1, need do local i = cand[j]; local f = key[i]; local rest = max(0, f - L)
      o[i] = me; u[i] = f; d[i] = rest >= q.lease and f or L + q.q + GAMMA
      grant[#grant + 1] = i - 1; grant[#grant + 1] = rest; g[j] = i end
    rec.g[pl.p] = g; ng = need; own[me] = own[me] + need end
  local unmet, other, soon = 0, 0, 0
  for i in pairs(T) do local z = max(0, T[i] - own[i]); unmet = unmet + z; if i ~= me then other = other + z; if own[i] < people[i] then soon = 1 end end end
  local give = q.bye and 0 or max(0, min(own[me] - mine, other - (#cand - ng)))
  rp.pools[x] = {p = pl.p, n = n, v = P.v, t = mine, give = give, grant = grant, lost = lostof[x], eff = eff[me] or {}, hot = unmet > 0 and 1 or 0, soon = soon, i = people[me] or 0}
end
return done(rp)
