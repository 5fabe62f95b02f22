"""`docs/clients.md`, made from what a run has seen."""

from __future__ import annotations

from pathlib import Path

from .releases import RELEASES, Release

FILE = Path(__file__).resolve().parents[3] / "docs" / "clients.md"

HEAD = """\
# Every generation of Courier's SDKs

Companies run all majors of PyPI `trycourier` and npm `@trycourier/courier`. `tests/generations` drives one release of each,
unmodified, through the gateway before a simulated Courier, and makes this table from what it saw. Each sends a message and reads
it. Then

- *refused*: the quota is used up, and the SDK's own retries are off: what the application is shown of the 429;
- *answer lost*: Courier takes a send, and the gateway gets no answer eight times. *Tries* are the SDK's own; up to major 6 the
  application then sends the same again until it is accepted. *Sends* is how many messages Courier took;
- *held 2 s*: a send waits that long for its slot and is answered.

| package | pointed by | `sdk` in the line | refused | tries | sends | held 2 s |
| --- | --- | --- | --- | --- | --- | --- |
"""

TAIL = """\

What the gateway knows of a generation that says nothing of it (`src/headers/sdk.rs`):

- **Who it is.** PyPI 1 to 5 and npm 1 to 5 are known by `User-Agent: courier-python/…`, `courier-node/…`; major 6 by
  `X-Fern-SDK-Name`; from major 7 on by `X-Stainless-Lang`.
- **Time-out.** PyPI 1 to 5 leave after 5 s over TLS and do not say so: they have their answer, or a 504 or 429, within 4 s. The
  suite saw all five hear the gateway's 504. npm 1 to 5 have none, major 6 and later have 60 s (read in their sources, not seen):
  more than the gateway takes by default. A client with more patience says so in `X-Stainless-Timeout`, in seconds.
- **Retries.** PyPI 1 to 5 and npm 1 to 5 never try again. npm 6 tries a 408, 429 or 5xx twice more and reads neither `Retry-After`
  nor `x-should-retry`; PyPI 6 does so where `max_retries` is given, after a 409 too, and heeds a `Retry-After` of up to 30 s (read
  in its source). Neither counts its retries. An equal request within two minutes of a failure, or of an answer that its client did
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


def text(rows: dict[Release, dict[str, str]]) -> str:
    return HEAD + "".join(row(release, rows[release]) for release in RELEASES) + TAIL


def row(release: Release, cells: dict[str, str]) -> str:
    place = "PyPI" if release.language == "python" else "npm"
    seen = [cells[name] for name in ("sdk", "refused", "tries", "sends", "held")]
    return f"| {' | '.join([f'{place} {release.version}', release.pointed_by, *seen])} |\n"
