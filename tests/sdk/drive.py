"""Drives Courier's Python SDK, unmodified, through a scenario and writes down all that it returns.

    python drive.py --base-url http://127.0.0.1:8080 --key KEY --scenario connector [--asynchronous]

Writes one JSON line a call to standard output and a summary as the last line; exits 1 when a step did not go as the
scenario says. Only the base URL and the key are set, which is all that an application would change; the SDK's own retries
are off, so that one step is one request, unless the scenario is about them; and its validation is strict, so that an answer
which its models would not have fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

import courier

from suite import scenario
from suite.describe import describe, describe_error, status_of, wire_form
from suite.methods import bind, find_methods
from suite.scenario import Call, Outcome


class Transcript:
    """The lines, and the account of what was driven."""

    def __init__(self, found: set[str]) -> None:
        self.found = found
        self.driven: set[str] = set()
        self.calls = 0
        self.unexpected: list[str] = []

    def write(self, call: Call, what: dict[str, Any], status: int | None) -> None:
        self.calls += 1
        self.driven.add(call.method)
        if not as_wanted(call.error, status, failed="error" in what):
            self.unexpected.append(f"{call.step}: wanted {call.error or 'success'}, got {what.get('error', 'success')}")
        sent = {"id": call.id, "args": describe(call.args), "headers": call.headers}
        flags = {"gateway_answers": True} if call.gateway_answers else {}
        print_line({"step": call.step, "method": call.method, "sent": sent, **flags, **what})

    def finish(self) -> int:
        missing = sorted(self.found - self.driven)
        counts = {"found": len(self.found), "driven": len(self.driven), "calls": self.calls}
        lists = {"missing": missing, "unexpected": self.unexpected}
        print_line({"summary": {"version": courier.__version__, **counts, **lists}})
        return 1 if self.unexpected else 0


def as_wanted(error: int | str | None, status: int | None, *, failed: bool) -> bool:
    """An answer that the SDK cannot read is an error without a status."""
    if error == "unreadable":
        return failed and status is None
    return failed == (error is not None) and status == error


def print_line(line: dict[str, Any]) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)


def returned(call: Call, value: Any, transcript: Transcript) -> Outcome:
    transcript.write(call, {"result": describe(value)}, None)
    return Outcome(status=None, value=wire_form(value))


def raised(call: Call, error: Exception, transcript: Transcript) -> Outcome:
    """Errors of the API are results; any other is a fault of the scenario or of the SDK, and shows as itself."""
    described = describe_error(error) if isinstance(error, courier.APIError) else {"class": repr(error)}
    transcript.write(call, {"error": described}, status_of(error))
    return Outcome(status=status_of(error))


def drive(client: courier.Courier, steps: list[dict[str, Any]], transcript: Transcript) -> None:
    calls = scenario.play(steps, "python")
    outcome: Outcome | None = None
    while call := following(calls, outcome):
        try:
            outcome = returned(call, bind(client, call)(), transcript)
        except Exception as error:
            outcome = raised(call, error, transcript)


async def drive_async(client: courier.AsyncCourier, steps: list[dict[str, Any]], transcript: Transcript) -> None:
    calls = scenario.play(steps, "python")
    outcome: Outcome | None = None
    while call := following(calls, outcome):
        try:
            outcome = returned(call, await bind(client, call)(), transcript)
        except Exception as error:
            outcome = raised(call, error, transcript)
    await client.close()


def following(calls: Any, outcome: Outcome | None) -> Call | None:
    """Hands the last outcome to the scenario and takes its next call."""
    try:
        return calls.send(outcome)
    except StopIteration:
        return None


def main() -> int:
    arguments = parse()
    playing = scenario.load(arguments.scenario)
    settings: dict[str, Any] = {"base_url": arguments.base_url, "api_key": arguments.key, "max_retries": playing.retries}
    if arguments.asynchronous:
        waiting = courier.AsyncCourier(**settings, _strict_response_validation=True)
        transcript = Transcript(find_methods(waiting))
        asyncio.run(drive_async(waiting, playing.steps, transcript))
    else:
        client = courier.Courier(**settings, _strict_response_validation=True)
        transcript = Transcript(find_methods(client))
        drive(client, playing.steps, transcript)
    return transcript.finish()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Drive Courier's Python SDK through a scenario.")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--scenario", required=True, choices=scenario.NAMES + scenario.ALONE)
    parser.add_argument("--asynchronous", action="store_true", help="use the SDK's asynchronous client")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
