"""One scenario with one client, through the gateway and directly, and all that there is to say about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import journal
from .journal import Received
from .programs import Credentials, Program, clean_environment, start_gateway, start_simulator, wait_for_address

HERE = Path(__file__).resolve().parent.parent

# Leaves the gateway out, and so compares one simulator with the other: whether the suite itself is deterministic.
DIRECT = os.environ.get("TOLLGATE_SDK_DIRECT") == "1"

# For a whole scenario; many times what it takes.
PATIENCE = 60.0

CLIENTS = {
    "python": [sys.executable, "drive.py"],
    "python-async": [sys.executable, "drive.py", "--asynchronous"],
    "node": ["node", "drive.mjs"],
}


@dataclass(frozen=True)
class Side:
    """What one way to the vendor gave, and what arrived there."""

    lines: list[dict[str, Any]]
    summary: dict[str, Any]
    received: list[Received]

    def within_limits(self) -> list[dict[str, Any]]:
        """What arrived, but for what the gateway answers in the vendor's place: bodies that are too large, and a request
        that came before under the same key."""
        known: set[tuple[str, ...]] = set()
        calls = []
        for call in self.received:
            keys = call.header("idempotency-key")
            name = (call.line, call.digest, *keys)
            if call.size <= journal.LARGEST and not (keys and name in known):
                calls.append(call.comparable())
            known.add(name)
        return calls


@dataclass(frozen=True)
class Run:
    scenario: str
    client: str
    credentials: Credentials
    through: Side
    direct: Side

    def __repr__(self) -> str:
        """Short, and without the key: it stands above each failure."""
        return f"<{self.scenario} with {self.client}>"


def perform(scenario: str, client: str, folder: Path) -> Run:
    """Starts everything anew: a run must not see what another one left behind."""
    credentials = Credentials.make()
    with ExitStack() as programs:
        first, second = (running(programs, start_simulator(folder)) for _ in range(2))
        behind, beside = wait_for_address(first), wait_for_address(second)
        if DIRECT:
            entry, key = behind, credentials.token
        else:
            gateway = running(programs, start_gateway(folder, behind, credentials))
            entry, key = wait_for_address(gateway), credentials.key
        with ThreadPoolExecutor() as both:
            through = both.submit(transcript, scenario, client, entry, key)
            direct = both.submit(transcript, scenario, client, beside, credentials.token)
        return Run(
            scenario,
            client,
            credentials,
            through=Side(*through.result(), received=journal.read_journal(behind)),
            direct=Side(*direct.result(), received=journal.read_journal(beside)),
        )


def running(programs: ExitStack, program: Program) -> Program:
    programs.callback(program.stop)
    return program


def transcript(scenario: str, client: str, address: str, key: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Runs a driver. It exits 1 when a step went wrong, which the tests then say better; more than that is a crash."""
    program, *rest = CLIENTS[client]
    found = shutil.which(program)
    assert found, f"{program} is not installed"
    command = [found, *rest, "--base-url", f"http://{address}", "--key", key, "--scenario", scenario]
    try:
        done = subprocess.run(
            command, cwd=HERE, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as late:
        last = (late.stdout or b"").decode().splitlines()[-1:]
        raise AssertionError(f"{client} still runs after {PATIENCE} s; the last that it did: {last}") from None
    *lines, last = [json.loads(line) for line in done.stdout.splitlines()] or [{}]
    assert done.returncode in (0, 1) and "summary" in last, f"{client} ended with {done.returncode}\n{done.stderr}"
    return lines, last["summary"]
