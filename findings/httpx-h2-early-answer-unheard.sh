#!/usr/bin/env bash
# Guess: an HTTP/2 client that is refused while it still uploads hears the refusal. RFC 9113, 8.1, lets a
# server answer whole, then reset the stream with NO_ERROR, and forbids clients to discard that answer.
# Seen: httpx 0.28.1 (httpcore 1.0.9, h2 4.3.0) ends in an error and has no answer when the body is larger
# than the window that the server gave; with a body that fits it has the 429. Over HTTP/1.1 it has both.
# What heals it: a server that goes on opening the window and throws the rest of the body away.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 httpcore==1.0.9 h2==4.3.0
cat > "$work/try.py" <<'PY'
import socket, threading
import h2.config, h2.connection, h2.events, httpx

def serve(listener, heal):
    while True:
        sock, _ = listener.accept()
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        conn.initiate_connection()
        sock.sendall(conn.data_to_send())
        try:
            while data := sock.recv(65536):
                events = conn.receive_data(data)
                whole = any(isinstance(event, h2.events.StreamEnded) for event in events)
                for event in events:
                    if isinstance(event, h2.events.RequestReceived):
                        fields = [(":status", "429"), ("retry-after", "7"), ("content-length", "2")]
                        conn.send_headers(event.stream_id, fields)
                        conn.send_data(event.stream_id, b"no", end_stream=True)
                        if not heal and not whole:
                            conn.reset_stream(event.stream_id, error_code=0)
                    elif isinstance(event, h2.events.DataReceived) and heal:
                        conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                sock.sendall(conn.data_to_send())
        except OSError:
            pass

def ask(size, heal):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, heal), daemon=True).start()
    with httpx.Client(http1=False, http2=True, timeout=3) as client:
        try:
            answer = client.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", content=b"x" * size)
            return str(answer.status_code)
        except httpx.HTTPError as error:
            return type(error).__name__

print("1000 octets, there before the answer:", ask(1000, False))
print("1000000 octets, refused, then reset with NO_ERROR:", ask(1000000, False))
print("1000000 octets, refused, and the rest read and thrown away:", ask(1000000, True))
PY
"$work/venv/bin/python" "$work/try.py" | tee "$work/seen"
[ "$(awk '{print $NF}' "$work/seen" | paste -sd' ')" = "429 ReadTimeout 429" ]
