"""The first event after a start is one that an alert sees: Prometheus' own `increase()` is 1."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scraped import LIST, Scraped, started, until  # noqa: E402

# One event each.
COUNTERS = [
    'tollgate_vendor_credential_rejected_total{connection="acme-prod"}',
    'tollgate_vendor_throttled_total{connection="acme-prod"}',
    'tollgate_quota_refusals_total{connection="acme-prod",rule="vendor-throttled"}',
    'tollgate_app_requests_total{app="acme",code="vendor-credential-rejected"}',
    'tollgate_keys_refused_total{reason="unknown"}',
    'tollgate_config_reloads_total{outcome="done"}',
]


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[Scraped]:
    """A gateway that nobody has called yet, and a Prometheus."""
    yield from started(tmp_path)


def increase(scraped: Scraped, counter: str) -> float | None:
    """At the moment of the last scrape: after it Prometheus guesses how the counter goes on."""
    last = scraped.value(f"timestamp({counter})")
    found = scraped.ask("query", query=f"increase({counter}[10m])", time=repr(last))
    return float(found[0]["value"][1]) if found else None


def test_the_first_event_of_a_counter_is_an_increase_of_one(scraped: Scraped) -> None:
    until("Prometheus knows each counter at 0", lambda: all(scraped.value(one) == 0 for one in COUNTERS))
    scraped.fault("messages.list", kind="credential", status=401)
    assert scraped.call("GET", "/messages", "acme") == 502
    scraped.fault("lists.put", kind="status", status=429, retry_after="60")
    assert [scraped.call("PUT", "/lists/a", "acme", LIST) for _ in range(2)] == [429, 429]
    assert scraped.call("GET", "/brands", f"tg_nobody_{'A' * 43}") == 401
    scraped.reload()
    until("Prometheus has seen each event", lambda: all(scraped.value(one) == 1 for one in COUNTERS))
    assert {one: increase(scraped, one) for one in COUNTERS} == dict.fromkeys(COUNTERS, 1)
