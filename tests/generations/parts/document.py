"""`docs/clients.md`, made from what a run has seen, a cell at a time: tests may run side by side."""

from __future__ import annotations

import os
from pathlib import Path

from .releases import RELEASES, Release

FILE = Path(__file__).resolve().parents[3] / "docs" / "clients.md"

GATEWAY = """\
# Every generation of Courier's SDKs

Companies run all majors of PyPI `trycourier` and npm `@trycourier/courier`. `tests/generations` drives one release of each,
unmodified, through the gateway before a simulated Courier, and makes these tables from what it saw. Each sends a message and
reads it. Then

- *refused*: the quota is used up, and the SDK's own retries are off: what the application is shown of the 429;
- *answer lost*: Courier takes a send, and the gateway gets no answer eight times. *Tries* are the SDK's own; up to major 6 the
  application then sends the same again until it is accepted. *Sends* is how many messages Courier took;
- *held 2 s*: a send waits that long for its slot and is answered.

| package | pointed by | `sdk` in the line | refused | tries | sends | held 2 s |
| --- | --- | --- | --- | --- | --- | --- |
"""

ITSELF = """\

What each sends and does of itself, as a recording socket in the gateway's place saw it. What every HTTP client sends is left out.

- *Time-out*: in brackets what was read in the source and not seen;
- *tries again*: after which of 400, 408, 409, 425, 429, 500, 502, 503 and 504, and whether after a connection that ends without an
  answer; *waits*: before its first retry and its second; chance changes each by up to a quarter;
- *counts*: says in a field which retry it is;
- *`Retry-After`*: one of 4 s, in a 503 and in a 429; *never*: `x-should-retry: false` in a 503.

| package | `User-Agent` | fields of its own | time-out | tries again | waits | counts | `Retry-After` | never |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""

TAIL = """\

What the gateway knows of a generation that says nothing of it (`src/headers/sdk.rs`):

- **Who it is.** PyPI 1 to 5 and npm 1 to 5 are known by `User-Agent: courier-python/…`, `courier-node/…`; major 6 by
  `X-Fern-SDK-Name`; from major 7 on by `X-Stainless-Lang`.
- **Time-out.** PyPI 1 to 5 leave after 5 s over TLS and do not say so: they have their answer, or a 504 or 429, within 4 s. The
  suite saw all five hear the gateway's 504. PyPI 6, npm 6 and npm 7 do not say theirs either; 60 s are more than the gateway takes
  by default. A client with more patience says so in `X-Stainless-Timeout` or `X-Stainless-Read-Timeout`, in seconds.
- **Retries.** PyPI 1 to 5 and npm 1 to 5 never try again. Major 6 tries twice more, PyPI 6 only where `max_retries` is given, and
  counts nothing. PyPI 6 heeds a `Retry-After` of up to 30 s, 7 and later of up to 60 s, npm 7 any (the limits were read in their
  sources). An equal request of a major that counts nothing within two minutes of a failure, or of an answer that its client did
  not wait for, is taken for the retry and has the same `Idempotency-Key`. A second message that is wanted then needs an
  `Idempotency-Key` of its own, or an app with `make_keys = false`.
- **From major 7 on** retries are counted, and `x-should-retry: false` is heeded: a send of unknown outcome is not tried again by
  the SDK. An application that sends again by itself makes a new send.
- **In a storm.** Of a thousand sends, eight at a time, while Courier takes each and a third of its answers get lost, singly or for
  half a second of each one and a half: none is made twice, by any major that tries again by itself, and what is not accepted is
  told as of unknown outcome, or was not made (`test_storm.py`).
- **Refusals.** npm 4 and 5 read the message of an error in `application/json` only, and get it in that type.
- **A base URL** must not end in `/` for majors up to 5.
"""


HEADS = [GATEWAY, ITSELF]
"""What stands before each table, its titles included."""

Rows = dict[tuple[int, str], dict[str, str]]
"""The cells of each row by their titles, by the table and the package."""


def titles(table: int) -> list[str]:
    return cells(HEADS[table].splitlines()[-2])


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def says(table: int, release: Release, seen: dict[str, str]) -> None:
    """Fails if the document does not say so; with `UPDATE=1` makes it."""
    found, key = rows(), (table, release.name)
    if os.environ.get("UPDATE") == "1":
        found[key] = {**found.get(key, {}), titles(table)[0]: release.name, **seen}
        FILE.write_text(text(found), encoding="utf-8")
    said = found.get(key, {})
    assert {title: said.get(title) for title in seen} == seen


def rows() -> Rows:
    found: Rows = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith(("| PyPI ", "| npm ")):
            name, *_ = said = cells(line)
            table = int((0, name) in found)
            found[table, name] = dict(zip(titles(table), said, strict=True))
    return found


def text(found: Rows) -> str:
    """The whole document with these rows, and no others."""
    keys = [[(table, release.name) for release in RELEASES] for table in range(len(HEADS))]
    tables = (
        head + "".join(row(titles(key[0]), found[key]) for key in keys[table] if key in found)
        for table, head in enumerate(HEADS)
    )
    return "".join(tables) + TAIL


def row(names: list[str], said: dict[str, str]) -> str:
    return f"| {' | '.join(said.get(name, '') for name in names)} |\n"
