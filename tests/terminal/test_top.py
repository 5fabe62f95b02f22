"""`tollgate top` in a real terminal."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Rig
from pane import Pane
from suite.programs import tollgate


def top(pane: Callable[..., Pane], columns: int = 80, lines: int = 24) -> Pane:
    """A terminal in which `top` shows the load."""
    opened = pane(columns, lines)
    opened.write(f"{tollgate()} top")
    opened.until(lambda screen: waiting(screen, "acme-prod") > 0)
    return opened


def row(screen: list[str], name: str) -> str:
    return next((line for line in screen if line.lstrip("> ").startswith(name)), "")


def waiting(screen: list[str], name: str) -> int:
    """Calls that wait, from the row of a connection: `acme-prod  ███·  4/4  4  1.0  0.0  0.0`."""
    found = re.search(r"\d+/\d+ +(\d+) ", row(screen, name))
    return int(found[1]) if found else 0


def place(screen: list[str], name: str) -> int:
    return next(at for at, line in enumerate(screen) if line.startswith(name))


def test_a_usual_terminal_shows_who_waits_for_what(pane: Callable[..., Pane]) -> None:
    screen = top(pane).screen()
    assert len(screen) == 24 and all(len(line) <= 80 for line in screen)
    assert re.search(r"^acme-prod +[█▒]+ +4/4 ", row(screen, "acme-prod")), screen
    assert row(screen, "acme/billing").startswith("> acme/billing"), screen
    assert row(screen, "acme/news"), screen
    assert screen[1].split()[2:] == ["slots", "used", "waiting", "calls/s", "saved/s", "refused"]
    assert "wait" in screen[place(screen, "acme-prod") + 1], screen
    assert screen[-1].startswith("q quit"), screen


def test_connections_are_sorted_by_key(pane: Callable[..., Pane]) -> None:
    shown = top(pane)
    screen = shown.shows("by waiting")
    assert place(screen, "acme-prod") < place(screen, "acme-test"), screen
    shown.type("r")
    # `news` calls ten times a second, `billing` once.
    shown.until(lambda it: "by rate" in it[0] and place(it, "acme-test") < place(it, "acme-prod"))
    shown.type("s")
    shown.shows("by slots")
    shown.type("w")
    shown.until(lambda it: "by waiting" in it[0] and place(it, "acme-prod") < place(it, "acme-test"))


def test_an_app_is_paused_and_released_by_keys(rig: Rig, pane: Callable[..., Pane]) -> None:
    shown = top(pane)
    shown.type("Down")
    shown.shows("> acme/news")
    shown.type("p")
    shown.shows("pause acme/news for: 10m_")
    shown.type("Enter")
    shown.shows("because: _")
    shown.write("too many letters")
    shown.until(lambda screen: row(screen, "acme/news").endswith("paused"))
    made = json.loads(rig.run("overrides", "--json"))["overrides"]
    assert [it["act"] for it in made] == [{"kind": "pause-app", "tenant": "acme", "app": "news"}]
    assert (made[0]["because"], made[0]["by"]) == ("too many letters", "ops1")
    shown.shows("ops1: too many letters")
    shown.type("e")
    shown.until(lambda screen: row(screen, "acme/news") and not row(screen, "acme/news").endswith("paused"))
    assert json.loads(rig.run("overrides", "--json"))["overrides"] == []


def test_a_pause_that_is_given_up_is_none(rig: Rig, pane: Callable[..., Pane]) -> None:
    shown = top(pane)
    shown.type("p")
    shown.shows("pause acme/billing for: 10m_")
    shown.type("Escape")
    shown.shows("q quit")
    assert json.loads(rig.run("overrides", "--json"))["overrides"] == []


def test_another_size_is_another_picture(pane: Callable[..., Pane]) -> None:
    shown = top(pane)
    shown.resize(40, 10)
    screen = shown.until(lambda it: len(it) == 10 and it[-1].startswith("q quit"))
    assert all(len(line) <= 40 for line in screen), screen
    assert "waiting" not in screen[1] and any(line.startswith("> acme/billing") for line in screen)
    shown.type("?")
    shown.shows("any key goes back")
    shown.type("x")
    shown.resize(120, 30)
    screen = shown.until(lambda it: len(it) == 30 and "refused" in it[1])
    assert screen[-1].startswith("q quit"), screen


@pytest.mark.parametrize("how", ["q", "C-c", "TERM"])
def test_the_terminal_is_given_back_as_it_was(pane: Callable[..., Pane], how: str) -> None:
    shown = pane(80, 24)
    # All modes of the terminal, in a word that fits a line.
    shown.write("stty -g | cksum")
    before = shown.until(lambda screen: len(screen) > 1 and screen[1][:1].isdigit())
    modes = before[1]
    shown.write(f"{tollgate()} top")
    shown.until(lambda screen: waiting(screen, "acme-prod") > 0)
    assert (shown.value("alternate_on"), shown.value("cursor_flag")) == ("1", "0")
    if how == "TERM":
        shell = Path(f"/proc/{shown.value('pane_pid')}/task/{shown.value('pane_pid')}/children")
        os.kill(int(shell.read_text().split()[0]), signal.SIGTERM)
    else:
        shown.type(how)
    shown.until(lambda _: shown.value("alternate_on") == "0")
    assert shown.value("cursor_flag") == "1"
    shown.write("echo ended with $?; stty -g | cksum")
    after = shown.until(lambda screen: sum(line == modes for line in screen) == 2)
    assert "ended with 0" in after, after


def test_a_gateway_that_does_not_answer_is_told_and_nothing_is_lost(pane: Callable[..., Pane]) -> None:
    shown = pane(80, 24)
    shown.write(f"{tollgate()} top --admin 127.0.0.1:1")
    shown.shows("nothing new for")
    shown.type("q")
    shown.until(lambda _: shown.value("alternate_on") == "0")


def test_without_a_terminal_there_is_one_picture_or_none(rig: Rig) -> None:
    picture = rig.run("top", "--once").splitlines()
    assert len(picture) == 24 and row(picture, "acme-prod"), picture
    assert "acme-prod" in rig.run("status") and "\x1b" not in rig.run("status")
