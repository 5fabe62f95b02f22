"""A gateway under a scripted load, and the real Prometheus that scrapes it. All on free ports of this machine."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

# How the programs are started stands in the suite with Courier's SDKs.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sdk"))

from parts.collectors import OtelTap, Span  # noqa: E402
from suite.programs import Program, start_simulator, tollgate, wait_for_address  # noqa: E402

# Many times what anything here takes, since nobody waits for it in vain.
PATIENCE = 30.0

TRACE = "0af7651916cd43dd8448eb211c80319c"
SEND = json.dumps({"message": {"to": {"user_id": "u"}, "content": {"title": "t", "body": "b"}}})
LIST = '{"name":"a"}'


def installed(program: str) -> str:
    """A program of Debian's packages `prometheus` and `redis-server`, or openssl. A missing one fails the suite."""
    found = shutil.which(program)
    assert found, f"{program} is not installed; .ci/run does that"
    return found


def until(what: str, ready: Callable[[], bool]) -> None:
    """Asks again until it is so: the other side works at its own pace."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, f"not after {PATIENCE} s: {what}"
        time.sleep(0.05)


def start_redis(stack: ExitStack, folder: Path) -> str:
    """The address of a Redis. The gateway waits for it by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    redis = subprocess.Popen([installed("redis-server"), *options], stdout=subprocess.DEVNULL)
    stack.callback(redis.wait, PATIENCE)
    stack.callback(redis.terminate)
    return f"127.0.0.1:{port}"


class Scraped:
    """A simulated Courier, a gateway before it and a Prometheus behind it."""

    def __init__(self, stack: ExitStack, folder: Path, *, shares: bool = False) -> None:
        self.keys = {app: f"tg_{app}_{secrets.token_urlsafe(32)}" for app in ("acme", "umbrella")}
        self.token = folder / "token-acme"
        self.token.write_text("token-of-acme", encoding="utf-8")
        (folder / "token-umbrella").write_text("token-of-umbrella", encoding="utf-8")
        self.certificate = make_certificate(folder)
        simulator = start_simulator(folder)
        stack.callback(simulator.stop)
        self.vendor = wait_for_address(simulator)
        self.collector = OtelTap()
        stack.callback(self.collector.stop)
        redis = start_redis(stack, folder) if shares else ""
        self.shared = f'[state]\nassume = "fresh"\n[shared]\nredis = "redis://{redis}"' if shares else ""
        self.config = folder / "tollgate.toml"
        self.config.write_text(self.configuration(folder), encoding="utf-8")
        self.gateway = Program([tollgate(), "serve", "--config", str(self.config)])
        stack.callback(self.gateway.stop)
        self.data = wait_for_address(self.gateway)
        self.ops = wait_for_address(self.gateway, "ops")
        self.prometheus = self.start_prometheus(stack, folder)
        self.call_ids: set[str] = set()
        # What the collector got, once the load is over.
        self.spans: list[Span] = []

    def configuration(self, folder: Path) -> str:
        digest = {app: hashlib.sha256(key.encode()).hexdigest() for app, key in self.keys.items()}
        cert, key = self.certificate
        tenants = "".join(
            f"""
[[tenant]]
id = "{name}"
[[tenant.connection]]
id = "{name}-prod"
token = {{ file = '{folder / f"token-{name}"}' }}
{'quota = { mode = "shadow", calls = 12 }' if name == "umbrella" else ""}
[[tenant.app]]
id = "{name}"
keys = [{{ id = "{name}", sha256 = "{digest[name]}", expires = "2099-01-01T00:00:00Z" }}]
"""
            for name in self.keys
        )
        return f"""
[server]
listen = "127.0.0.1:0"
drain_delay = "0s"
head_time = "3s"
tls = {{ cert = '{cert}', key = '{key}' }}
[ops]
listen = "127.0.0.1:0"
[vendor]
base_url = "http://{self.vendor}"
{self.shared}
[quota]
calls = 30
max_wait = "100ms"
[traces]
endpoint = "{self.collector.endpoint}"
ratio = 1.0
interval = "100ms"
context = "parent"
{tenants}"""

    def start_prometheus(self, stack: ExitStack, folder: Path) -> str:
        config = folder / "prometheus.yml"
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                    "scrape_configs": [{"job_name": "tollgate", "static_configs": [{"targets": [self.ops]}]}],
                }
            ),
            encoding="utf-8",
        )
        program = Program(
            [
                installed("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                "--web.listen-address=127.0.0.1:0",
                "--enable-feature=exemplar-storage",
                "--log.format=json",
            ]
        )
        stack.callback(program.stop)
        address = address_of(program)
        until("Prometheus answers questions", lambda: is_ready(address))
        return address

    def call(self, method: str, target: str, app: str, body: str = "", trace: str = "") -> int:
        """Makes a call over TLS and reads its answer; `app` is a name, or a key that nobody has."""
        if not hasattr(self, "line"):
            context = ssl.create_default_context(cafile=str(self.certificate[0]))
            host, port = self.data.split(":")
            self.line = http.client.HTTPSConnection(host, int(port), context=context, timeout=PATIENCE)
        headers = {"x-api-key": self.keys.get(app, app), "content-type": "application/json"}
        if trace:
            headers["traceparent"] = f"00-{trace}-b7ad6b7169203331-01"
        self.line.request(method, target, body=body.encode() or None, headers=headers)
        answer = self.line.getresponse()
        answer.read()
        self.call_ids.add(answer.headers["tollgate-call-id"])
        return answer.status

    def fault(self, operation: str, **answer: object) -> None:
        """The next call of `operation` at Courier meets this answer."""
        fault = {"when": {"operation": operation, "times": 1}, "effect": {"answer": answer}}
        request = urllib.request.Request(
            f"http://{self.vendor}/__admin/faults", data=json.dumps(fault).encode(), method="POST"
        )
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            assert reply.status < 300

    def raw(self, octets: bytes, tls: bool) -> None:
        """Sends octets and waits until the gateway hangs up."""
        host, port = self.data.split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as line:
            if tls:
                context = ssl.create_default_context(cafile=str(self.certificate[0]))
                with context.wrap_socket(line, server_hostname="127.0.0.1") as inside:
                    swallow(inside, octets)
            else:
                swallow(line, octets)

    def reload(self) -> None:
        """Makes the gateway read its configuration again, and waits until it says so."""
        os.kill(self.gateway.process.pid, signal.SIGHUP)
        until("the gateway has reloaded", lambda: any("reloaded" in line for line in self.gateway.lines))

    def page(self, accept: str) -> tuple[str, str]:
        """The type and text of `/metrics`."""
        request = urllib.request.Request(f"http://{self.ops}/metrics", headers={"accept": accept})
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return reply.headers["content-type"], reply.read().decode()

    def ask(self, path: str, **query: str) -> list[dict]:
        """Asks Prometheus."""
        url = f"http://{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        data = answer["data"]
        return data["result"] if isinstance(data, dict) else data

    def value(self, query: str) -> float | None:
        """The one value of an expression; none if it has none."""
        result = self.ask("query", query=query)
        assert len(result) <= 1, f"{query}: {result}"
        return float(result[0]["value"][1]) if result else None


def swallow(line: socket.socket, octets: bytes) -> None:
    try:
        line.sendall(octets)
        while line.recv(4096):
            pass
    except (ssl.SSLError, ConnectionError):
        pass  # It hung up in its own way, which is what was waited for.


def is_ready(prometheus: str) -> bool:
    """It listens before it has read what it kept."""
    try:
        with urllib.request.urlopen(f"http://{prometheus}/-/ready", timeout=PATIENCE) as reply:
            return reply.status == 200
    except urllib.error.HTTPError:
        return False


def address_of(prometheus: Program) -> str:
    """The port that Prometheus was given, from its own log."""
    deadline = time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = prometheus.unread.get(timeout=left)
        except queue.Empty:
            break
        assert line is not None, f"ended before it listened\n{prometheus.tail()}"
        if '"Listening on"' in line:
            return json.loads(line)["address"]
    raise AssertionError(f"Prometheus does not listen\n{prometheus.tail()}")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [installed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=127.0.0.1"]
        + ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True,
        capture_output=True,
    )
    return cert, key


def started(folder: Path) -> Iterator[Scraped]:
    """Everything, for as long as it is used."""
    with ExitStack() as stack:
        yield Scraped(stack, folder)
