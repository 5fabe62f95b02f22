"""Refusals that come before an upload is over are heard by real clients over HTTP/2."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from parts import document
from parts.clients import CLIENTS, Client, Row
from parts.gateway import Gateway

KIB, MIB = 1 << 10, 1 << 20
TRIES = 5
# The largest body that is taken.
MOST = 6 * MIB

# Status, code, and the sizes that are tried.
REFUSALS = {
    401: ("unauthenticated", [64 * KIB, MIB, MOST]),
    404: ("unknown-operation", [64 * KIB, MIB, MOST]),
    413: ("body-too-large", [MOST + 1]),
    429: ("quota-exhausted", [64 * KIB, MIB, MOST]),
}

# By client: its version, how many refusals of each status it heard, how many calls after them were answered.
RESULTS: dict[str, list[str]] = {}


def row(gateway: Gateway, status: int, size: int) -> Row:
    key = {401: gateway.unknown, 429: gateway.used_up}.get(status, gateway.key)
    return ("/nothing" if status == 404 else "/send", key, size)


def is_heard(seen: dict[str, Any], status: int) -> bool:
    code, _ = REFUSALS[status]
    waits = seen.get("retry_after", "")
    right = waits.isdigit() and int(waits) > 0 if status == 429 else waits == ""
    return (seen.get("status"), seen.get("code"), seen.get("version")) == (status, code, "2") and right


@pytest.fixture(scope="session")
def used_up(gateways: dict[str, Gateway]) -> None:
    """The one call that the quota of `used-up` has was made."""
    import ssl
    import urllib.request

    for gateway in gateways.values():
        ask = urllib.request.Request(f"{gateway.base}/brands", headers={"x-api-key": gateway.used_up})
        trust = ssl.create_default_context(cafile=gateway.ca) if gateway.base.startswith("https") else None
        with urllib.request.urlopen(ask, timeout=20, context=trust) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_an_early_refusal_is_heard(client: Client, gateways: dict[str, Gateway], used_up: None, scratch: Path) -> None:
    gateway = gateways[client.scheme]
    wanted = [status for status, (_, sizes) in REFUSALS.items() for _ in sizes for _ in range(TRIES)]
    rows = [row(gateway, status, size) for status, (_, sizes) in REFUSALS.items() for size in sizes for _ in range(TRIES)]
    before = gateway.accepted()
    seen = client.run(gateway, rows, scratch)
    connections = gateway.accepted() - before
    assert len(seen) == len(rows), "one line a row"

    heard, all_of = Counter[int](), Counter(wanted)
    unheard = []
    for (path, _, size), status, one in zip(rows, wanted, seen, strict=True):
        if is_heard(one, status):
            heard[status] += 1
        elif client.deaf_from is None or size < client.deaf_from:
            unheard.append(f"{status} {path} {size}: {one}")
    follows = [one["next"] == 200 for one in seen if "next" in one]
    cells = [f"{heard[status]} of {all_of[status]}" for status in REFUSALS]
    cells.append(f"{sum(follows)} of {len(follows)}" if follows else "–")
    print(client.name, client.version(), cells, f"{connections} connections")
    RESULTS[client.name] = [client.version(), *cells]

    assert not unheard, "\n".join(unheard)
    assert all(follows), "the request after a refusal is answered"
    assert all(one.get("same", True) for one in seen), "and it takes the same connection"
    assert connections <= (1 + len(rows) if client.anew else 1), "and no further one was opened"


def test_the_document_says_what_was_seen() -> None:
    """`UPDATE=1` writes it."""
    assert list(RESULTS) == [client.name for client in CLIENTS], "after a run with all clients"
    made = document.text(RESULTS)
    if os.environ.get("UPDATE"):
        document.FILE.write_text(made, encoding="utf-8")
    written = document.FILE.read_text(encoding="utf-8")
    assert document.without_versions(written) == document.without_versions(made)
