"""Plays a scenario: a list of steps, written down as data so that both SDKs are driven by the same one.

The form of a step is described in README.md. `play` knows neither HTTP nor a client: it yields calls and is sent their
outcomes, so that the synchronous and the asynchronous client share every line of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"

NAMES = ("connector", "all", "ids", "errors", "retries", "large")

# Scenarios of which no two clients are compared.
ALONE = ("sends",)

# A list that never ends is a fault of the server; the scenarios have no list of more pages than this.
MOST_PAGES = 20

VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Call:
    """One call of one SDK method, all variables replaced."""

    step: str
    method: str
    """The Python name, such as `lists.subscriptions.add`."""
    id: str | None = None
    """The positional argument: in both SDKs the last id of the path."""
    args: dict[str, Any] = field(default_factory=dict)
    """The named arguments, by their names on the wire."""
    headers: dict[str, str] = field(default_factory=dict)
    error: int | str | None = None
    """What the step is there to provoke: a status, or `unreadable`; without it the call must succeed."""
    gateway_answers: bool = False
    """The gateway refuses this call by itself, so only class and status can equal the vendor's."""


@dataclass(frozen=True)
class Outcome:
    """What a call came to, in the names of the wire: what later steps may pick values from."""

    status: int | None
    """The status of the error; None when there was none."""
    value: Any = None


@dataclass(frozen=True)
class Scenario:
    steps: list[dict[str, Any]]
    retries: int
    """How often the SDK itself may try again: none, so that one step is one request, unless that is what is tested."""


def load(name: str) -> Scenario:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return Scenario([with_list(step, document) for step in document["steps"]], document.get("retries", 0))


def with_list(step: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """`each` may name a list that stands beside the steps."""
    each = step.get("each")
    return {**step, "each": document[each]} if isinstance(each, str) else step


def play(steps: list[dict[str, Any]], client: str) -> Generator[Call, Outcome, None]:
    """Yields the calls of a scenario in order; wants the outcome of each sent back."""
    kept: dict[str, Any] = {}
    for step in steps:
        if step.get("only", client) != client:
            continue
        for call in rounds(step, kept):
            outcome = yield from pages(call) if step.get("pages") else once(call)
            for name, path in step.get("keep", {}).items():
                kept[name] = pick(outcome.value, path)


def rounds(step: dict[str, Any], kept: dict[str, Any]) -> Iterator[Call]:
    """The calls of one step: one, or one for each of `times` or `each`."""
    values = step.get("each") or list(range(1, step.get("times", 1) + 1))
    for n, value in enumerate(values, start=1):
        known = {**kept, "n": n, "each": value}
        args = fill(step.get("args", {}), known)
        if "pad" in step:
            pad(args, step["pad"]["at"], step["pad"]["bytes"])
        yield Call(
            step=step["step"] if len(values) == 1 else f"{step['step']}[{n}]",
            method=step["call"],
            id=fill(step["id"], known) if "id" in step else None,
            args=args,
            headers={**fill(step.get("headers", {}), known), **fault_header(step)},
            error=step.get("error"),
            gateway_answers=step.get("gateway_answers", False),
        )


def fault_header(step: dict[str, Any]) -> dict[str, str]:
    """A fault travels with the call that it is to hit: an application's own headers pass the gateway."""
    return {"x-simulator-fault": compact(step["fault"])} if "fault" in step else {}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def once(call: Call) -> Generator[Call, Outcome, Outcome]:
    return (yield call)


def pages(call: Call) -> Generator[Call, Outcome, Outcome]:
    """Follows the cursor to the last page, as an application does: neither SDK has a pager of its own."""
    args = dict(call.args)
    first: Outcome | None = None
    for page in range(1, MOST_PAGES + 1):
        outcome = yield Call(f"{call.step}#{page}", call.method, call.id, args, call.headers, call.error)
        first = first or outcome
        cursor = cursor_of(outcome.value)
        if cursor is None:
            return first
        args = {**args, "cursor": cursor}
    raise AssertionError(f"{call.step}: still more after {MOST_PAGES} pages")


def cursor_of(value: Any) -> str | None:
    """Most lists wrap the cursor in `paging`; tenants and journeys carry it at the top."""
    if not isinstance(value, dict):
        return None
    return (value.get("paging") or value).get("cursor")


def fill(value: Any, known: dict[str, Any]) -> Any:
    """Replaces `${name}` everywhere in a value. A string that is nothing but a variable takes the variable's type."""
    if isinstance(value, dict):
        return {key: fill(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, known) for inner in value]
    if not isinstance(value, str):
        return value
    whole = VARIABLE.fullmatch(value)
    if whole:
        return known[whole[1]]
    return VARIABLE.sub(lambda match: str(known[match[1]]), value)


def pick(value: Any, path: str) -> Any:
    """The value at a dotted path such as `results.0.id`; None when the answer has none, so that later steps show it."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def pad(args: dict[str, Any], at: list[str], size: int) -> None:
    """Grows a string until the body that both SDKs make of `args`, compact JSON, has exactly `size` bytes."""
    *parents, last = at
    holder = args
    for name in parents:
        holder = holder[name]
    holder[last] = ""
    bare = len(compact(args).encode())
    holder[last] = "x" * (size - bare)
