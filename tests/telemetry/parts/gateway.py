"""A gateway process: its ports, its log, its metrics, and calls through it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from suite.programs import Program, clean_environment, start_simulator, tollgate, wait_for_address

# Many times what anything takes here: nobody waits for it in vain.
PATIENCE = 30.0


@dataclass(frozen=True)
class Key:
    """A key as the app holds it, and as the configuration knows it."""

    text: str
    entry: str

    @staticmethod
    def new(app: str, id: str) -> Key:
        made = subprocess.run(
            [tollgate(), "keys", "new", "--app", app, "--id", id],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        text, entry = re.search(r"tg_\S+", made), re.search(r"keys = \[.*\]", made)
        assert text and entry, made
        return Key(text[0], entry[0])


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def simulator_address(programs: ExitStack, folder: Path) -> str:
    program = start_simulator(folder)
    programs.callback(program.stop)
    return wait_for_address(program)


class Gateway:
    def __init__(self, programs: ExitStack, folder: Path, toml: str, environment: dict[str, str]) -> None:
        self.file = folder / "tollgate.toml"
        self.file.write_text(toml, encoding="utf-8")
        self.program = Program([tollgate(), "serve", "--config", str(self.file)], environment)
        programs.callback(self._end)
        self.data, self.ops = wait_for_address(self.program, "data"), wait_for_address(self.program, "ops")

    def call(self, key: Key, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Makes a call; `x_request_id="1"` is the field `x-request-id`."""
        fields = {"x-api-key": key.text, "content-type": "application/json"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.data, method, path, None if body is None else json.dumps(body), fields)

    def metrics(self) -> dict[str, float]:
        """The samples of `/metrics` by name and labels."""
        page = ask(self.ops, "GET", "/metrics").body.decode()
        lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.program.lines if line.startswith("{")]

    def calls(self) -> list[dict[str, Any]]:
        """The access lines so far."""
        return [line for line in self.log() if line["target"] == "access"]

    def reload(self, toml: str) -> None:
        """Another configuration; returns when it is in force."""
        done = self.said("configuration reloaded")
        self.file.write_text(toml, encoding="utf-8")
        self.program.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.said("configuration reloaded") > done)

    def said(self, message: str) -> int:
        """How often the log has it."""
        return sum(line.get("message") == message for line in self.log())

    def stop(self) -> int:
        """Ends it as an init system would, and reads its log to the end; its exit code."""
        self.program.stop()
        read_to_the_end(self.program)
        return self.program.process.returncode

    def _end(self) -> None:
        if self.program.process.poll() is None:
            self.program.stop()


def ask(
    address: str, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def read_to_the_end(program: Program) -> None:
    """Until all that an ended program printed is in its lines."""
    while program.unread.get(timeout=PATIENCE) is not None:
        pass


def wait_until(condition: Callable[[], Any], why: Callable[[], Any] = lambda: "") -> None:
    """Looks again and again; the machine may be slow, but not for ever."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it never came to that {why()}"
        time.sleep(0.02)
