"""What arrived at a simulator, from its journal. Only this file knows the journal's form."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from dataclasses import dataclass
from functools import cache
from typing import Any

from .scenario import FOLDER

# 6 MiB, inclusive. What is longer is refused, by the gateway before it reaches the vendor.
LARGEST = 6 * 1024 * 1024

# Far more than a scenario sends.
MOST = 5000

# The headers by which the vendor acts, so they must arrive as sent. All others are the gateway's policy.
KEPT = ("authorization", "accept", "accept-encoding", "content-type", "idempotency-key", "x-idempotency-expiration")


@dataclass(frozen=True)
class Received:
    """One request as the vendor saw it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    """As much of the body as the journal keeps."""
    size: int
    """The whole body's length."""
    digest: str
    """A hash of the whole body."""
    status: int

    @property
    def line(self) -> str:
        return f"{self.method} {self.target}"

    def header(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field == name]

    def mentions(self, secret: str) -> bool:
        fields = [self.target, *(value for _, value in self.headers)]
        return any(secret in field for field in fields) or secret.encode() in self.body

    def comparable(self) -> dict[str, Any]:
        """In the form of a transcript's line, for the same comparison."""
        body = {"size": self.size, "hash": self.digest, "start": repr(self.body[:200])}
        headers = {name: self.header(name) for name in KEPT}
        # Kept reads are sent with these sets in one form.
        for name in ("accept", "accept-encoding"):
            headers[name] = [", ".join(sorted(re.split(r"\s*,\s*", value))) for value in headers[name]]
        # A key of the gateway's own, where the SDK sent none.
        headers["idempotency-key"] = [key for key in headers["idempotency-key"] if not key.startswith("tollgate-")]
        return {"step": self.line, "method": self.method, "target": self.target, "headers": headers, "body": body}


def read_journal(address: str) -> list[Received]:
    with urllib.request.urlopen(f"http://{address}/__admin/requests?limit={MOST}") as answer:
        journal = json.load(answer)
    assert journal["dropped"] == 0 and journal["total"] <= MOST, "the journal no longer holds all that arrived"
    return [received(entry) for entry in journal["requests"]]


def received(entry: dict[str, Any]) -> Received:
    return Received(
        method=entry["method"],
        target=entry["target"],
        headers=[(name.lower(), value) for name, value in entry["headers"]],
        body=entry["body"].encode() if "body" in entry else base64.b64decode(entry["body_base64"]),
        size=entry["body_bytes"],
        digest=entry["body_hash"],
        status=entry["status"],
    )


@cache
def connector_operations() -> dict[str, re.Pattern[str]]:
    """The published connector's operations, each as a pattern of request lines."""
    document = json.loads((FOLDER / "connector_operations.json").read_text(encoding="utf-8"))
    return {name: pattern_of(line) for name, line in document["operations"].items()}


def pattern_of(line: str) -> re.Pattern[str]:
    return re.compile(re.escape(line).replace(r"\{\}", "[^/?]+") + r"(\?.*)?")


def operations_done(calls: list[Received]) -> set[str]:
    """The operations of the connector that succeeded at least once."""
    lines = {call.line for call in calls if call.status < 300}
    return {name for name, pattern in connector_operations().items() if any(map(pattern.fullmatch, lines))}
