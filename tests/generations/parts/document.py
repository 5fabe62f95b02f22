"""`docs/clients.md`, made from what a run has seen, a cell at a time: tests may run side by side."""

from __future__ import annotations

import os
from pathlib import Path

from .releases import RELEASES, Release

FILE = Path(__file__).resolve().parents[3] / "docs" / "clients.md"

GATEWAY = """\
# Every generation of Courier's SDKs

Companies run all majors of PyPI `trycourier` and npm `@trycourier/courier`. `tests/generations` drives one release of each,
unmodified, through the gateway to a simulated Courier. It makes these tables from what it saw. Each release sends a message
and reads it. Then there are three tests:

- *refused*: the quota is used up, and the SDK's own retries are off. The column says what the application sees of the 429.
- *answer lost*: Courier takes a send, and the gateway gets no answer eight times. *Tries* are the SDK's own. Up to major 6 the
  application then sends the same again until it is accepted. *Sends* is how many messages Courier took.
- *held 2 s*: a send waits that long for its slot and is answered.

| package | pointed by | `sdk` in the line | refused | tries | sends | held 2 s |
| --- | --- | --- | --- | --- | --- | --- |
"""

ITSELF = """\

The next table says what each sends and does by itself, as a recording socket in the gateway's place saw it. Fields that every
HTTP client sends are left out.

- *Time-out*: values in brackets were read in the source and not seen.
- *Tries again*: after which of 400, 408, 409, 425, 429, 500, 502, 503 and 504. It also says if the SDK tries again after a
  connection that ends without an answer.
- *Waits*: before its first retry and its second. Chance changes each by up to a quarter.
- *Counts*: whether it says in a field which retry it is.
- *`Retry-After`*: one of 4 s, in a 503 and in a 429. *Never*: `x-should-retry: false` in a 503.

| package | `User-Agent` | fields of its own | time-out | tries again | waits | counts | `Retry-After` | never |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""

TAIL = """\

What the gateway knows of each generation by itself (`src/headers/sdk.rs`):

- **Who it is.** PyPI 1 to 5 and npm 1 to 5 are known by `User-Agent: courier-python/…`, `courier-node/…`; major 6 by
  `X-Fern-SDK-Name`; from major 7 on by `X-Stainless-Lang`.
- **Time-out.** PyPI 1 to 5 leave after 5 s over TLS and do not say so. So they get their answer, or a 504 or 429, within 4 s. The
  suite saw all five receive the gateway's 504. PyPI 6, npm 6 and npm 7 do not announce theirs either; their 60 s are more than
  the gateway takes by default. A client that waits longer says so in `X-Stainless-Timeout` or `X-Stainless-Read-Timeout`, in
  seconds.
- **Retries.** PyPI 1 to 5 and npm 1 to 5 never try again. Major 6 tries twice more and counts nothing; PyPI 6 tries
  again only if `max_retries` is given. PyPI 6 heeds a `Retry-After` of up to 30 s, PyPI 7 and later of up to 60 s, npm 7 any.
  The limits were read in their sources. If a major counts nothing, the gateway takes an equal request for the retry. This holds
  for two minutes after a failure, or after an answer that the client did not wait for. The retry has the same
  `Idempotency-Key`. To send a second message in that time, give it an `Idempotency-Key` of its own, or use an app with
  `make_keys = false`.
- **From major 7 on** SDKs count their retries and heed `x-should-retry: false`. So the SDK does not try a send of unknown outcome
  again. An application that sends again by itself makes a new send.
- **In a storm.** The suite makes a thousand sends, eight at a time. Courier takes each, and a third of its answers get lost, singly
  or for half a second in every one and a half. It does so with every major that tries again by itself. No send is made twice. A
  send that is not accepted is reported as of unknown outcome, or was not made (`test_storm.py`).
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
