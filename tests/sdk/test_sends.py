"""Sends by Courier's SDKs with their default retries, while the lines on both sides of the gateway break: none is made
twice. The simulator counts what took effect."""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from suite.broken_line import BrokenLine
from suite.journal import read_journal
from suite.programs import Credentials, start_gateway, start_simulator, wait_for_address
from suite.run import CLIENTS, DIRECT, running, transcript

SENDS = 80

# Answers lost after the commit, at its beginning and in its body; requests lost before it.
FAULTS = [
    {"when": {"operation": "messages.send", "probability": 0.1}, "effect": {"wire": {"kind": "cut", "after": 0}}},
    {"when": {"operation": "messages.send", "probability": 0.1}, "effect": {"wire": {"kind": "reset", "after": 200}}},
    {
        "when": {"operation": "messages.send", "probability": 0.1},
        "effect": {"wire": {"kind": "reset", "after": 0}, "commit": False},
    },
]


def ask(address: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}/__admin/{path}", data=data)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


@pytest.mark.skipif(DIRECT, reason="without the gateway the SDKs do send twice")
@pytest.mark.parametrize("client", CLIENTS)
def test_no_send_is_made_twice_though_both_lines_break(client: str, tmp_path: Path) -> None:
    credentials = Credentials.make()
    with ExitStack() as programs:
        vendor = wait_for_address(running(programs, start_simulator(tmp_path)))
        gateway = wait_for_address(running(programs, start_gateway(tmp_path, vendor, credentials)))
        line = BrokenLine(gateway, seed=7)
        programs.callback(line.stop)
        ask(vendor, "faults", FAULTS)
        told, _ = transcript("sends", client, line.address, credentials.key)
        twice = ask(vendor, "duplicates")["duplicates"]
        arrived = read_journal(vendor)
    accepted = [step for step in told if "error" not in step]
    bodies = {call.body for call in arrived}
    print(f"{client}: {len(accepted)} of {SENDS} accepted in {len(arrived)} tries, {line.broken} breaks before the gateway")
    assert twice == []
    assert len(arrived) > len(bodies), "the vendor's side broke, and the gateway tried again"
    assert line.broken > 3, "the client's side broke"
    # What an SDK gives up on, it gives up for its own line: an answer cut in its body it does not ask for again.
    assert len(accepted) >= SENDS * 0.85, [step["error"] for step in told if "error" in step]
