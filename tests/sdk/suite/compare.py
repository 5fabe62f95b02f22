"""Compares two transcripts field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

Line = dict[str, Any]

ABSENT = "(absent)"

# More differences than this help nobody: they have one cause.
MOST_SHOWN = 20


def differences(through: list[Line], direct: list[Line]) -> list[str]:
    """What the gateway changed, a sentence each. Empty when nothing."""
    found = [text for pair in zip_longest(through, direct) for text in line_differences(*pair)]
    return found[:MOST_SHOWN] + ([f"… and {len(found) - MOST_SHOWN} more"] if len(found) > MOST_SHOWN else [])


def line_differences(through: Line | None, direct: Line | None) -> Iterator[str]:
    name = (through or direct or {}).get("step", "the summary")
    if through is None or direct is None:
        yield f"{name}: only in the transcript {'through the gateway' if direct is None else 'of the vendor'}"
        return
    mine, other = (dict(leaves(comparable(line))) for line in (through, direct))
    for path in sorted(mine.keys() | other.keys()):
        if mine.get(path, ABSENT) != other.get(path, ABSENT):
            yield f"{name}{path}: {mine.get(path, ABSENT)} through the gateway, {other.get(path, ABSENT)} directly"


def comparable(line: Line) -> Line:
    """Of a call that the gateway itself refuses, the text is its own; class and status must be the vendor's."""
    if not line.get("gateway_answers") or "error" not in line:
        return line
    error = line["error"]
    return {**line, "error": {"class": error["class"], "status": error.get("status")}}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf as JSON text, so that 1, 1.0 and true stay apart; empty containers are leaves too."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, json.dumps(value, ensure_ascii=False)
