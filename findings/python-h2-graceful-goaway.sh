#!/usr/bin/env bash
# Guess: a client whose server says goodbye in the graceful way still has the answers to what it asked
# before. RFC 9113, 6.8: a GOAWAY with NO_ERROR and the last stream 2^31-1 only announces the end; calls
# under way are answered, and servers ping behind it to learn when it has arrived.
# Seen: h2 4.3.0 (the one below httpx) takes the whole connection for closed at that GOAWAY. The ping
# behind it, and the answer to a request that is under way, are each a protocol error to it, so that a
# call which the server did answer has failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check h2==4.3.0 hyperframe==6.1.0 hpack==4.1.0
cat > "$work/try.py" <<'PY'
import h2.config, h2.connection, h2.exceptions
from hpack import Encoder
from hyperframe.frame import GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame

REQUEST = [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "a")]

def goodbye():
    return GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=0)

def answer():
    fields = Encoder().encode([(":status", "200")])
    return HeadersFrame(1, fields, flags=["END_HEADERS", "END_STREAM"])

def hears(*frames):
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    client.send_headers(1, REQUEST, end_stream=True)
    client.receive_data(SettingsFrame(0).serialize())
    try:
        events = [event for frame in frames for event in client.receive_data(frame.serialize())]
        return type(events[-1]).__name__
    except h2.exceptions.ProtocolError:
        return "ProtocolError"

print("the answer:", hears(answer()))
print("goodbye, then the answer:", hears(goodbye(), answer()))
print("goodbye, then a ping:", hears(goodbye(), PingFrame(0, opaque_data=b"12345678")))
PY
"$work/venv/bin/python" "$work/try.py" | tee "$work/seen"
[ "$(awk '{print $NF}' "$work/seen" | paste -sd' ')" = "StreamEnded ProtocolError ProtocolError" ]
