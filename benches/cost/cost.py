#!/usr/bin/env python3
"""Instructions and allocations of a call, counted by valgrind on the program as it is shipped.

    cost.py target/release/tollgate            # counts, and fails where a budget is exceeded
    cost.py target/release/tollgate --print    # counts only

Each count is the difference between a long and a short run, divided by the calls they differ by: what
happens once, at the start, is not in it. One worker, one client connection, everything on: access lines as
JSON, metrics, the calls kept to be explained, one trace in a hundred. What the kernel does is not counted.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Calls of the two runs.
SHORT, LONG = 300, 3300

# Over its budget by so much, a count fails.
SLACK = 0.03

TOOLS = {
    "instructions": (["--tool=callgrind", "--callgrind-out-file=/dev/null"], r"Collected : (\d+)"),
    "allocations": (["--tool=dhat", "--dhat-out-file=/dev/null"], r"Total: .* bytes in ([\d,]+) blocks"),
}

BODY = json.dumps({"message": {"to": {"user_id": "u"}, "template": "t", "data": {"x": "y" * 430}}})

CALLS = {
    "hit": ("GET /brands", "", 200),
    "get": ("GET /messages", "", 200),
    "post": ("POST /send", BODY, 200),
    "refusal": ("GET /messages", "", 429),
}

CONFIG = """
[server]
listen = "127.0.0.1:0"
[ops]
listen = "127.0.0.1:0"
[logs]
format = "json"
[admin]
listen = "127.0.0.1:0"
{admin}
[vendor]
base_url = "http://{vendor}"
[traces]
endpoint = "http://{vendor}"
ratio = 0.01
[quota]
calls = 100000
window = "60s"
max_wait = "1ms"
[state]
assume = "fresh"
[[tenant]]
id = "acme"
connection = [{{ id = "acme-prod", token = {{ env = "TOKEN" }} }}]
[[tenant.app]]
id = "billing"
{entry}
limit = {{ calls = {limit}, window = "{window}" }}
"""


def vendor(listener: socket.socket) -> None:
    """Answers every request with one answer, for as long as the process lives."""
    body = json.dumps({"results": [{"id": "b", "name": "n" * 40}] * 10}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = head.encode() + body

    def serve(line: socket.socket) -> None:
        with line, line.makefile("rb") as reading, contextlib.suppress(OSError):
            while read(reading)[0]:
                line.sendall(answer)

    while True:
        line, _ = listener.accept()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(line,), daemon=True).start()


def read(reading) -> tuple[str, bytes]:
    """The first line and the body of a message of HTTP/1.1; an empty line at the end."""
    first, length = reading.readline().decode(), 0
    while (line := reading.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return first, reading.read(length)


def told(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def total(program: str, address: str, tool: str, call: str, count: int) -> int:
    """What the program took in all for so many calls."""
    arguments, pattern = TOOLS[tool]
    request, body, status = CALLS[call]
    app, admin = told(program, "keys", "new", "--app", "billing"), told(program, "keys", "new", "--admin")
    key = re.search(r"tg_\S+", app)[0]
    app_entry, admin_entry = (re.search(r"keys = .*", text)[0] for text in (app, admin))
    limit, window = (1, "600s") if status == 429 else (100_000, "60s")
    config = CONFIG.format(
        vendor=address, entry=app_entry, admin=admin_entry, limit=limit, window=window
    )
    with tempfile.TemporaryDirectory() as folder:
        file, said = Path(folder) / "tollgate.toml", Path(folder) / "valgrind"
        file.write_text(config)
        command = ["valgrind", *arguments, f"--log-file={said}", program, "serve", "--config", str(file)]
        environment = {"PATH": os.environ["PATH"], "TOKEN": "made-up", "TOKIO_WORKER_THREADS": "1"}
        with open(Path(folder) / "lines", "w+") as lines, subprocess.Popen(
            command, stdout=lines, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            try:
                ask(port(process, Path(folder) / "lines"), key, (request, body, status), count)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        return int(re.search(pattern, said.read_text())[1].replace(",", ""))


def port(process: subprocess.Popen, lines: Path) -> int:
    """The data port that the gateway says it listens on."""
    while process.poll() is None:
        found = re.search(r'"listener":"data","addr":"127.0.0.1:(\d+)"', lines.read_text())
        if found:
            return int(found[1])
    raise SystemExit(f"the gateway ended: {lines.read_text()}")


def ask(port: int, key: str, call: tuple[str, str, int], count: int) -> None:
    """Makes the calls, one after the other on one connection, and looks at each answer's status."""
    request, body, wanted = call
    fields = f"Host: gateway\r\nX-Api-Key: {key}\r\nUser-Agent: a bench\r\nAccept: application/json\r\n"
    if body:
        fields += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    octets = f"{request} HTTP/1.1\r\n{fields}\r\n{body}".encode()
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as reading:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for nth in range(count):
            line.sendall(octets)
            status = int(read(reading)[0].split()[1])
            # The first one of a limit of one is let through.
            if status != wanted and nth > 0:
                raise SystemExit(f"{request}: {status} in place of {wanted}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--print", action="store_true", help="count only")
    options = parser.parse_args()
    program = str(Path(options.program).resolve())
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=vendor, args=(listener,), daemon=True).start()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    runs = [(tool, call, count) for tool in TOOLS for call in CALLS for count in (SHORT, LONG)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        totals = dict(zip(runs, pool.map(lambda run: total(program, address, *run), runs)))
    budgets = tomllib.loads((HERE / "budgets.toml").read_text())
    over = 0
    for tool in TOOLS:
        for call in CALLS:
            used = (totals[tool, call, LONG] - totals[tool, call, SHORT]) / (LONG - SHORT)
            budget = budgets[tool][call]
            exceeded = used > budget * (1 + SLACK)
            over += exceeded
            print(f"{tool} of a {call}: {used:,.1f}, budget {budget:,}{': EXCEEDED' if exceeded else ''}")
    return 0 if options.print else int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
