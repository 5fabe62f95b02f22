"""A thousand sends while a third of the answers get lost, by each major that tries again by itself."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from parts.releases import RELEASES, Release
from parts.world import World

SENDS = 1000

# The vendor has taken the message, and says nothing of it.
LOST = {"commit": True, "wire": {"kind": "cut", "after": 0}}
STORMS = {
    # The gateway's own tries weather this one.
    "any third": {"operation": "messages.send", "probability": 1 / 3},
    # All of them during a third of the time: the gateway gives some up, and their SDK has its turn.
    "a third of the time": {"operation": "messages.send", "every_ms": 1500, "for_ms": 500},
}

OUTCOME = re.compile(r"""outcome\\?["']: ?\\?["']([a-z-]+)""")

TRY_AGAIN = [release for release in RELEASES if release.retries]


@pytest.mark.parametrize("storm", STORMS)
@pytest.mark.parametrize("release", TRY_AGAIN, ids=str, indirect=True)
def test_no_send_of_a_thousand_is_made_twice_and_each_is_told_truly(
    release: Release, storm: str, world: Callable[..., World]
) -> None:
    here = world()
    here.fault(STORMS[storm], LOST)
    texts = [f"m-{number}" for number in range(SENDS)]
    (line,) = here.drive(release, [f"together:{','.join(texts)}"])
    told, taken = line["value"], here.taken()
    accepted = {text for text, end in told.items() if "value" in end}
    errors = {text: end["error"] for text, end in told.items() if "error" in end}
    tries = len(here.sends())
    asked = sum(1 for line in here.lines() if line["operation"] == "messages.send")
    print(f"{release}: {SENDS} sends, {asked} requests, {tries} tries at the vendor, {len(accepted)} accepted")
    assert sorted(told) == sorted(texts)
    assert {text: times for text, times in taken.items() if times > 1} == {}
    # The storm did blow, and most weathered it.
    assert tries > SENDS and len(accepted) > SENDS / 2
    assert accepted <= set(taken)
    assert len({tuple(told[text]["value"].values()) for text in accepted}) == len(accepted)
    for text, error in errors.items():
        (said,) = OUTCOME.findall(error["text"])[:1] or [error]
        assert said == "unknown" or (said == "not-sent" and text not in taken), (text, error)
