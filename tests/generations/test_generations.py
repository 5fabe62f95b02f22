"""One release of each major of Courier's SDKs, unmodified, through the gateway: what it gets, and what the vendor."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from parts import document
from parts.releases import RELEASES, Release
from parts.world import World

Start = Callable[..., World]

# Nothing of an answer comes, as often as the gateway tries, so that its client hears of it.
LOST = ({"operation": "messages.send", "times": 8}, {"commit": True, "wire": {"kind": "cut", "after": 0}})
SLOW = ({"operation": "messages.send"}, {"latency": {"kind": "fixed", "ms": 8000}})

OLD_PYTHON = [release for release in RELEASES if release.language == "python" and release.major < 6]


def test_a_send_and_a_read_go_as_they_would_without_the_gateway(release: Release, world: Start) -> None:
    here = world()
    sent, read = here.drive(release, ["send:a", "read"])
    assert "error" not in sent and "error" not in read, (sent, read)
    (number,) = sent["value"].values()
    assert number in json.dumps(read["value"])
    for call in here.received():
        assert call.header("authorization") == [f"Bearer {here.credentials.token}"]
        assert not call.mentions(here.credentials.key)
        assert [name for name, _ in call.headers if name.startswith(("x-fern-", "x-stainless-"))] == []
    names = {line["sdk"] for line in here.lines()}
    assert names == {release.line}
    document.says(0, release, {"pointed by": release.pointed_by, "`sdk` in the line": f"`{release.line}`"})


def test_a_refusal_is_shown_with_its_status_and_its_reason(release: Release, world: Start) -> None:
    here = world(quota='calls = 1\nwindow = "1h"\nmax_wait = "1s"')
    first, refused = here.drive(release, ["send:a", "once:b"])
    assert "error" not in first, first
    error = refused["error"]
    assert "quota is used up" in error["text"], error
    assert error["status"] == 429 or "429" in error["text"], error
    assert here.sent() == 1
    # Of the older npm ones, axios says nothing of what was answered.
    place = "its message" if "quota is used up" in error["message"] else "`response.data`"
    assert place == "its message" or (release.language == "node" and release.major < 4), error
    document.says(0, release, {"refused": f"`{error['class']}`, the reason in {place}"})


def test_a_send_whose_answer_is_lost_is_made_once(release: Release, world: Start) -> None:
    here = world()
    here.fault(*LOST)
    (first,) = here.drive(release, ["send:a"])
    # From major 7 on a further send of the application's own is a new one.
    again = [] if "value" in first or release.counts_retries else here.drive(release, ["until:a"])
    assert all("value" in line for line in again), again
    keys = {key for call in here.received() for key in call.header("idempotency-key")}
    assert (here.sent(), len(keys)) == (1, 1)
    arrived = [line for line in here.lines() if line["operation"] == "messages.send"]
    tries = len(arrived) - sum(line["tries"] for line in again)
    ended = "accepted" if "value" in first else f"`{first['error']['class']}`"
    document.says(0, release, {"tries": f"{tries}, {ended}", "sends": str(here.sent())})


def test_a_send_that_waits_for_its_slot_is_answered(release: Release, world: Start) -> None:
    here = world(quota='calls = 1\nwindow = "2s"')
    lines = here.drive(release, ["send:a", "send:b"])
    assert all("error" not in line for line in lines), lines
    assert here.sent() == 2
    document.says(0, release, {"held 2 s": "yes"})


@pytest.mark.parametrize("release", OLD_PYTHON, ids=str, indirect=True)
def test_an_old_client_hears_of_a_slow_vendor_before_it_gives_up(release: Release, world: Start) -> None:
    here = world(tls=True)
    here.fault(*SLOW)
    (late,) = here.drive(release, ["send:a"])
    assert late["error"]["status"] == 504, late


def test_the_document_says_no_more() -> None:
    rows = document.rows()
    if os.environ.get("UPDATE") == "1":
        document.FILE.write_text(document.text(rows), encoding="utf-8")
    assert document.FILE.read_text(encoding="utf-8") == document.text(rows)
    assert {(table, release.name) for table in range(len(document.HEADS)) for release in RELEASES} == set(rows)
    assert all(set(document.titles(table)) == set(row) for (table, _), row in rows.items())
