"""Starts the real programs on free ports and stops them again. Only this file knows how they are started."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# From the start of a program to its listening; many times what it takes, since nobody waits for it in vain.
START = 20.0
# From SIGTERM to the exit.
STOP = 20.0

# Both simulators get the same seed, so their answers differ only where the requests do.
SEED = 7

# A clock that only a write moves: however long a call takes, its answer has the same times. The step is short enough to
# cancel a message right after it was sent.
SIMULATOR = {"clock": {"mode": "step", "step_ms": 250}}

TOKEN_VARIABLE = "ACME_COURIER_TOKEN"


class Program:
    """A running program and what it printed."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.unread: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            command,
            env={**clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Reads until the end, so that the program never blocks on a full pipe."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.unread.put(self.lines[-1])
        self.unread.put(None)

    def stop(self) -> None:
        """Asks the program to end, as an init system would."""
        self.process.terminate()
        try:
            self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running {STOP} s after SIGTERM\n{self.tail()}") from None

    def tail(self) -> str:
        return "\n".join(["the last that it printed:", *self.lines[-30:]])


def clean_environment() -> dict[str, str]:
    """Settings of the person who runs the suite must not reach the programs or the SDKs."""
    return {name: value for name, value in os.environ.items() if not is_setting(name.upper())}


def is_setting(name: str) -> bool:
    return name.startswith(("COURIER_", "TOLLGATE_")) or name.endswith("_PROXY")


def wait_for_address(program: Program, listener: str = "data") -> str:
    """The `127.0.0.1:PORT` on which a program listens, from its own report.

    The gateway logs JSON lines, one for each listener; the simulator prints one line of text.
    """
    deadline = time.monotonic() + START
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = program.unread.get(timeout=left)
        except queue.Empty:
            break
        if line is None:
            raise AssertionError(f"ended with {program.process.wait()} before it listened\n{program.tail()}")
        if address := address_in(line, listener):
            return address
    raise AssertionError(f"not listening after {START} s\n{program.tail()}")


def address_in(line: str, listener: str) -> str | None:
    if "listening" not in line:
        return None
    if line.startswith("{"):
        fields = json.loads(line)
        return fields.get("addr") if fields.get("listener") == listener else None
    found = re.search(r"listening on (?:http://)?(127\.0\.0\.1:\d+)", line)
    return found[1] if found else None


def tollgate() -> str:
    """The program under test. A missing one fails the suite: a suite that skips proves nothing."""
    named = os.environ.get("TOLLGATE_BIN")
    places = [Path(named)] if named else [ROOT / "target" / kind / "tollgate" for kind in ("release", "debug")]
    for place in places:
        if place.is_file():
            return str(place)
    raise AssertionError(f"no program at {', '.join(map(str, places))}: build it, or name it in TOLLGATE_BIN")


def start_simulator(folder: Path) -> Program:
    script = folder / "simulator.json"
    script.write_text(json.dumps(SIMULATOR), encoding="utf-8")
    listen, seed = "127.0.0.1:0", str(SEED)
    if example := os.environ.get("TOLLGATE_SIMULATOR_BIN"):
        return Program([example, listen, seed, str(script)])
    return Program([tollgate(), "simulate", "--listen", listen, "--seed", seed, "--script", str(script)])


@dataclass(frozen=True)
class Credentials:
    """Made up for each run: what the application holds, and what only the gateway holds."""

    key: str
    token: str

    @staticmethod
    def make() -> Credentials:
        return Credentials(key=f"tg_k1_{secrets.token_urlsafe(32)}", token=f"suite-{secrets.token_hex(16)}")


def start_gateway(folder: Path, vendor: str, credentials: Credentials) -> Program:
    config = folder / "tollgate.toml"
    config.write_text(configuration(vendor, credentials), encoding="utf-8")
    return Program([tollgate(), "serve", "--config", str(config)], {TOKEN_VARIABLE: credentials.token})


def configuration(vendor: str, credentials: Credentials) -> str:
    digest = hashlib.sha256(credentials.key.encode()).hexdigest()
    return f"""\
[server]
listen = "127.0.0.1:0"

[ops]
listen = "127.0.0.1:0"

[vendor]
base_url = "http://{vendor}"

# The suite calls faster than any application may; what the quota does has tests of its own.
[quota]
calls = 100000
window = "60s"

[[tenant]]
id = "acme"

[[tenant.connection]]
id = "acme-prod"
token = {{ env = "{TOKEN_VARIABLE}" }}

[[tenant.app]]
id = "suite"
keys = [{{ id = "k1", sha256 = "{digest}" }}]
scopes = ["*", "auth", "providers", "inbound"]
"""
