#!/usr/bin/env python3
"""What grows with a configuration and with the calls that wait, as ratios within one run.

    growth.py target/release/tollgate
    TMPDIR=/dev/shm growth.py target/release/tollgate --only calls

The small gateway has one app and one connection, the large one 10,000 apps and 1,000 connections; both run
side by side. `start` is the time and the CPU time until `/readyz` says 200, `check` that of
`tollgate check`. `calls` is the CPU time of a call, in rounds that alternate between the two. `waiting` is
the memory of a call that waits for its turn, over HTTP/2. What the kernel does for the gateway is in it.
A start makes a file for each pool: a folder in memory keeps the disk out of the figures.
"""

import argparse
import base64
import contextlib
import hashlib
import os
import re
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cost"))
from cost import ask, vendor  # noqa: E402

# Tenants; connections and apps of each of them; connections of an app.
SMALL = (1, 1, 1, 1)
APPS = (100, 1, 100, 1)
LARGE = (100, 10, 100, 2)
ONE_TENANT = (1, 1000, 10_000, 1)

# Calls of a round, and the rounds: many short ones, since the machine is not ours alone.
CALLS, ROUNDS = 300, 50

# Copies that fill the cache of the large gateway.
COPIES = 3000

# HTTP/2 connections and the calls that wait on each.
SOCKETS, STREAMS = 10, 1000

HEAD = """
[server]
listen = "127.0.0.1:0"
streams = {streams}
[ops]
listen = "127.0.0.1:0"
[logs]
format = "json"
[vendor]
base_url = "http://{vendor}"
[quota]
calls = {calls}
window = "60s"
{more}
[cache]
capacity = "1MiB"
[state]
dir = "{folder}/state"
assume = "fresh"
"""

KINDS = {
    "hit": ("GET /brands", "", 200),
    "get": ("GET /messages", "", 200),
}


@dataclass
class Gateway:
    """A gateway that runs, and what it took until it was ready."""

    process: subprocess.Popen
    data: int
    ops: int
    wall: float
    cpu: float

    def cpu_time(self) -> float:
        """Seconds of all its threads that live."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory(self) -> int:
        """Octets that are its own (PSS)."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"Pss:\s+(\d+)", text)[1]) * 1024

    def figure(self, pattern: str) -> float:
        """The sum of the series of its metrics whose lines begin so."""
        lines = get(self.ops, "/metrics").splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(pattern, line))


def key(name: str) -> str:
    """A key of the form that `tollgate keys new` prints; always the same, so not a secret."""
    secret = base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")
    return f"tg_{name}_{secret}"


def configuration(folder: Path, shape: tuple[int, int, int, int], **head: object) -> Path:
    """A file of this shape, and a file for each token."""
    tenants, connections, apps, each = shape
    text = [HEAD.format(folder=folder, **{"streams": 100, "calls": 100, "more": ""} | head)]
    (folder / "state").mkdir(mode=0o700)
    for tenant in range(tenants):
        text.append(f'[[tenant]]\nid = "t{tenant}"\n')
        for connection in range(connections):
            # Only the first connection is called.
            own = 'quota = { calls = 100 }\n' if tenant + connection > 0 else ""
            name = f"t{tenant}-c{connection}"
            (folder / name).write_text(f"token-of-{name}")
            token = f'token = {{ file = "{folder / name}" }}'
            text.append(f'[[tenant.connection]]\nid = "{name}"\n{token}\n{own}')
        for app in range(apps):
            name = f"t{tenant}a{app}"
            digest = hashlib.sha256(key(name).encode()).hexdigest()
            named = ", ".join(f'"t{tenant}-c{(app + nth) % connections}"' for nth in range(each))
            entry = f'connections = [{named}]\nkeys = [{{ id = "{name}", sha256 = "{digest}" }}]'
            text.append(f'[[tenant.app]]\nid = "{name}"\n{entry}\n')
    file = folder / "tollgate.toml"
    file.write_text("".join(text))
    return file


def get(port: int, path: str) -> str:
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as reading:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return reading.read().decode()


@contextlib.contextmanager
def running(program: str, shape: tuple[int, int, int, int], **head: object):
    """A gateway of this shape."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [program, "serve", "--config", str(configuration(folder, shape, **head))]
        begun = time.perf_counter()
        with (
            open(folder / "lines", "w") as lines,
            subprocess.Popen(command, stdout=lines, stderr=lines) as process,
        ):
            try:
                ports: dict[str, str] = {}
                while len(ports) < 2 or " 200 " not in get(int(ports["ops"]), "/readyz"):
                    time.sleep(0.001)
                    text = (folder / "lines").read_text()
                    ports = dict(re.findall(r'"listener":"(data|ops)","addr":"127.0.0.1:(\d+)"', text))
                    if process.poll() is not None:
                        raise SystemExit(f"the gateway ended: {text}")
                wall = time.perf_counter() - begun
                gateway = Gateway(process, int(ports["data"]), int(ports["ops"]), wall, 0.0)
                gateway.cpu = gateway.cpu_time()
                yield gateway
            finally:
                process.kill()


def start(program: str, address: str) -> None:
    for name, shape in [("small", SMALL), ("apps", APPS), ("large", LARGE), ("one tenant", ONE_TENANT)]:
        times = []
        for _ in range(5):
            with running(program, shape, vendor=address) as gateway:
                times.append((gateway.wall, gateway.cpu))
        wall, cpu = (statistics.median(column) * 1e3 for column in zip(*times))
        print(f"start, {name} {shape}: {wall:.0f} ms to ready, {cpu:.0f} ms CPU time")


def check(program: str, address: str) -> None:
    for name, shape in [("small", SMALL), ("apps", APPS), ("large", LARGE), ("one tenant", ONE_TENANT)]:
        with tempfile.TemporaryDirectory() as folder:
            file = configuration(Path(folder), shape, vendor=address)
            times = []
            for _ in range(5):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run([program, "check", str(file)], check=True, stdout=subprocess.DEVNULL)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            print(f"check, {name} {shape}: {statistics.median(times) * 1e3:.0f} ms CPU time")


def calls(program: str, address: str) -> None:
    """CPU time of a call in the large gateways, divided by that in the small one."""
    with (
        running(program, SMALL, vendor=address, calls=1_000_000) as small,
        running(program, LARGE, vendor=address, calls=1_000_000) as large,
        running(program, ONE_TENANT, vendor=address, calls=1_000_000) as one_tenant,
    ):
        for nth in range(COPIES):
            for gateway in (large, one_tenant):
                ask(gateway.data, key("t0a0"), (f"GET /brands/b{nth}", "", 200), 1)
        for kind, call in KINDS.items():
            spent: dict[str, list[float]] = {"small": [], "large": [], "one tenant": []}
            for _ in range(ROUNDS):
                gateways = (small, large, one_tenant)
                for times, gateway in zip(spent.values(), gateways, strict=True):
                    before = gateway.cpu_time()
                    ask(gateway.data, key("t0a0"), call, CALLS)
                    times.append((gateway.cpu_time() - before) / CALLS * 1e6)
            for name in ("large", "one tenant"):
                # What else the machine does only adds, so the quickest rounds tell most.
                little, much = (statistics.quantiles(spent[of], n=10)[0] for of in ("small", name))
                ratios = [much / little for much, little in zip(spent[name], spent["small"], strict=True)]
                print(
                    f"{kind}, {name}: {little:.1f} -> {much:.1f} us in the quickest tenth of the rounds, "
                    f"ratio {much / little:.2f}; median of all ratios {statistics.median(ratios):.2f}"
                )


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def literal(text: str) -> bytes:
    """A text of HPACK, without Huffman's code."""
    octets = text.encode()
    return (bytes([len(octets)]) if len(octets) < 127 else bytes([127, len(octets) - 127])) + octets


def wait_on(port: int, path: str, streams: int) -> socket.socket:
    """Makes so many calls on one HTTP/2 connection; their answers are read and dropped."""
    # :method GET and :scheme http, then :path, :authority and the key as they are.
    head = b"\x82\x86\x04" + literal(path) + b"\x01" + literal("gateway")
    head += b"\x00" + literal("x-api-key") + literal(key("t0a0"))
    begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, 1 << 30))
    begin += frame(4, 1, 0, b"") + frame(8, 0, 0, struct.pack(">I", 1 << 30))
    line = socket.create_connection(("127.0.0.1", port))

    def read() -> None:
        with contextlib.suppress(OSError):
            while line.recv(1 << 16):
                pass

    threading.Thread(target=read, daemon=True).start()
    line.sendall(begin)
    time.sleep(0.05)
    line.sendall(b"".join(frame(1, 5, 1 + 2 * nth, head) for nth in range(streams)))
    return line


def waiting(program: str, address: str) -> None:
    """Memory of the calls that wait. They are let go at an even pace, most of them after the look."""
    count = SOCKETS * STREAMS
    more = f'burst = 1\ndepth = {count}\napp_depth = {count}\nmax_wait = "50s"'
    head = {"vendor": address, "streams": STREAMS, "calls": count * 2, "more": more}
    with running(program, SMALL, **head) as gateway:
        # The first use of each part, and of HTTP/2, is not what a call takes.
        ask(gateway.data, key("t0a0"), KINDS["get"], 1)
        first = wait_on(gateway.data, "/messages", 1)
        time.sleep(0.5)
        before = gateway.memory()
        lines = [wait_on(gateway.data, "/messages", STREAMS) for _ in range(SOCKETS)]
        most, wait = 0.0, 0
        for _ in range(20):
            wait, memory = gateway.figure(r"tollgate_queue_length\{"), gateway.memory()
            if wait <= most:
                break
            most = wait
            time.sleep(0.3)
        print(f"waiting: {(memory - before) / wait:,.0f} octets a call, {wait:,.0f} calls wait over HTTP/2")
        for line in [first, *lines]:
            line.close()


def main() -> None:
    parts = {"start": start, "check": check, "calls": calls, "waiting": waiting}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--only", choices=parts, help="one part alone")
    options = parser.parse_args()
    program = str(Path(options.program).resolve())
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=vendor, args=(listener,), daemon=True).start()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    for name, part in parts.items():
        if options.only in (None, name):
            part(program, address)


if __name__ == "__main__":
    main()
