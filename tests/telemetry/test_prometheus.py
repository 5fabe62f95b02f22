"""The real Prometheus reads what the gateway says of itself, and its lint finds nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from parts.collectors import SERVER  # noqa: E402
from scraped import LIST, SEND, TRACE, Scraped, installed, started, until  # noqa: E402

TABLE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

# Of 23 calls, each with its waits and its tries.
SPANS = 68

# After `load`: what the query must give.
VALUES = {
    'sum(tollgate_requests_total)': 23,
    'sum(tollgate_requests_total{operation="messages.list",code="ok"})': 15,
    'sum(tollgate_requests_total{operation="none",code="unauthenticated",status_class="4xx"})': 1,
    'sum(tollgate_app_requests_total{tenant="acme",app="acme",code="ok"})': 7,
    'sum(tollgate_app_requests_total{tenant="umbrella",app="umbrella"})': 13,
    'tollgate_keys_refused_total{reason="foreign"}': 1,
    'sum(http_server_request_duration_seconds_count)': 23,
    'sum(http_server_request_duration_seconds_bucket{operation="lists.put",le="+Inf"})': 3,
    'sum(http_client_request_duration_seconds_count{status_class="5xx"})': 1,
    'sum(http_client_request_duration_seconds_count)': 22,
    'tollgate_requests_in_flight': 0,
    'tollgate_flights': 0,
    'tollgate_upload_bytes': 0,
    'tollgate_body_bytes_total{direction="in"}': 2 * len(LIST) + len(SEND),
    'sum(tollgate_queue_wait_seconds_count{connection="acme-prod",lane="interactive"})': 7,
    'sum(tollgate_queue_length)': 0,
    'sum(tollgate_quota_slots{connection="acme-prod",pool="connection"})': 30,
    'sum(tollgate_quota_slots) >= bool sum(tollgate_quota_limit)': 1,
    'tollgate_quota_slots{connection="acme-prod",pool="connection",state="resting"}': 9,
    'tollgate_quota_slots{connection="acme-prod",pool="connection",state="free"}': 21,
    'tollgate_quota_slots{connection="acme-prod",pool="connection",state="in_use"}': 0,
    'tollgate_quota_limit{connection="acme-prod",pool="lists.put"}': 20,
    'tollgate_quota_window_seconds{connection="acme-prod",pool="connection"}': 60,
    'tollgate_quota_closed_seconds{connection="acme-prod",pool="lists.put"} > bool 0': 1,
    'tollgate_quota_closed_seconds{connection="acme-prod",pool="connection"}': 0,
    'tollgate_quota_pace_seconds{connection="acme-prod",lane="bulk"}': 2,
    'tollgate_quota_refusals_total{connection="acme-prod",rule="vendor-throttled"}': 1,
    'tollgate_quota_shadow_total{connection="umbrella-prod",outcome="quota-exhausted"}': 1,
    'sum(tollgate_app_queue_length)': 0,
    'tollgate_app_slots{tenant="acme",app="acme",connection="acme-prod",lane="interactive"}': 9,
    'sum(tollgate_vendor_attempts_total)': 22,
    'tollgate_vendor_attempts_total{operation="messages.list"}': 18,
    'tollgate_vendor_answers_total{connection="acme-prod",status_class="2xx"}': 5,
    'tollgate_vendor_answers_total{connection="acme-prod",status_class="4xx"}': 3,
    'tollgate_vendor_answers_total{connection="acme-prod",status_class="5xx"}': 1,
    'tollgate_vendor_throttled_total{connection="acme-prod"}': 1,
    'tollgate_retries_total{connection="acme-prod",reason="server-error"}': 1,
    'tollgate_retries_total{connection="acme-prod",reason="token"}': 1,
    'tollgate_retry_budget{connection="acme-prod",kind="keyed"}': 10,
    'tollgate_idempotency_keys_total{outcome="made"}': 1,
    'tollgate_vendor_credential_rejected_total{connection="acme-prod"}': 1,
    'tollgate_vendor_token_good{connection="acme-prod"}': 1,
    'tollgate_vendor_token_given_up{connection="acme-prod"}': 0,
    'tollgate_token_unreadable{connection="acme-prod"}': 0,
    "min(tollgate_key_expiry_timestamp_seconds)": 4070908800,
    "sum(tollgate_admin_requests_total)": 0,
    "tollgate_audit_lines_unwritten_total": 0,
    'tollgate_vendor_token_replaced_total{connection="acme-prod"}': 1,
    'sum(tollgate_vendor_host_down)': 0,
    # A connection has sockets of its own, and two of them called.
    'sum(tollgate_vendor_sockets)': 2,
    # The load brings the gateway into no want.
    'sum(tollgate_local_shortages_total)': 0,
    'tollgate_client_sockets_turned_away_total': 0,
    'tollgate_cache_requests_total{operation="brands.list",outcome="stored"}': 1,
    'tollgate_cache_requests_total{operation="brands.list",outcome="hit"}': 1,
    'tollgate_cache_quota_saved_total{operation="brands.list"}': 1,
    'tollgate_cache_clears_total{operation="lists.put"}': 2,
    'tollgate_cache_bytes > bool 0': 1,
    'tollgate_client_sockets': 0,
    'tollgate_client_sockets_accepted_total': 4,
    'tollgate_tls_handshakes_total{outcome="done"}': 3,
    'tollgate_tls_handshakes_total{outcome="failed"}': 1,
    'tollgate_client_unreadable_total{reason="malformed"}': 1,
    'tollgate_client_too_slow_total{limit="no-request"}': 1,
    'tollgate_app_key_expiry_timestamp_seconds{tenant="acme",app="acme"}': 4070908800,
    'abs(tollgate_tls_certificate_expiry_timestamp_seconds{listener="data"} - time() - 2 * 86400) < bool 600': 1,
    'sum(tollgate_state_files_unwritten)': 0,
    'tollgate_config_reloads_total{outcome="done"}': 1,
    'abs(time() - tollgate_config_loaded_timestamp_seconds) < bool 60': 1,
    'tollgate_ready': 1,
    'tollgate_log_lines_dropped_total': 0,
    'tollgate_spans_exported_total': SPANS,
    'tollgate_spans_dropped_total': 0,
    'sum(tollgate_build_info{version!="",rustc!="",commit!=""})': 1,
    'process_cpu_seconds_total > bool 0': 1,
    'process_resident_memory_bytes > bool 1e6': 1,
    'process_virtual_memory_bytes > bool 1e6': 1,
    'process_open_fds > bool 8': 1,
    'process_max_fds > bool 63': 1,
    'abs(time() - process_start_time_seconds) < bool 120': 1,
    'process_threads > bool 1': 1,
}


def load(scraped: Scraped) -> None:
    """One of everything that is counted."""
    scraped.reload()

    def expect(status: int, *call: str, **more: str) -> None:
        assert scraped.call(*call, **more) == status, call

    expect(200, "GET", "/brands", "acme")
    expect(200, "GET", "/brands", "acme")
    expect(204, "PUT", "/lists/a", "acme", LIST)
    expect(202, "POST", "/send", "acme", SEND)
    scraped.fault("messages.list", kind="status", status=503)
    expect(200, "GET", "/messages", "acme", trace=TRACE)
    scraped.token.write_text("the-next-token", encoding="utf-8")
    scraped.fault("messages.list", kind="credential", status=401)
    expect(200, "GET", "/messages", "acme")
    scraped.fault("messages.list", kind="credential", status=401)
    expect(502, "GET", "/messages", "acme")
    scraped.fault("lists.put", kind="status", status=429, retry_after="60")
    expect(429, "PUT", "/lists/a", "acme", LIST)
    expect(429, "PUT", "/lists/a", "acme", LIST)
    expect(401, "GET", "/brands", "nobody")
    for _ in range(13):
        expect(200, "GET", "/messages", "umbrella")
    scraped.line.close()
    scraped.raw(b"no TLS at all\r\n\r\n", tls=False)
    scraped.raw(b"GET /\x01 HTTP/1.1\r\n\r\n", tls=True)
    scraped.raw(b"", tls=True)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Everything, after the load, when Prometheus has seen the end of it."""
    for scraped in started(tmp_path_factory.mktemp("prometheus")):
        load(scraped)
        until("Prometheus has scraped the last call", lambda: scraped.value("sum(tollgate_requests_total)") == 23)
        until("Prometheus has seen the last span leave", lambda: scraped.value("tollgate_spans_exported_total") == SPANS)
        until("Prometheus has seen the last socket close", lambda: scraped.value("tollgate_client_sockets") == 0)
        scraped.spans = scraped.collector.spans()
        yield scraped


# Only a gateway that shares something has them: `test_shared` has one.
WITH_A_STORE = re.compile("tollgate_(shared_|cache_(unconfirmed|untold))")


def table() -> list[tuple[str, str]]:
    """Name and type of each row of the table."""
    return re.findall(r"^\| `(\w+)` \| (\w+) \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)


def rows() -> list[tuple[str, str]]:
    """The rows that every gateway has."""
    return [row for row in table() if not WITH_A_STORE.match(row[0])]


def test_the_lint_finds_nothing_in_the_classic_text(scraped: Scraped) -> None:
    kind, text = scraped.page("text/plain")
    assert kind.startswith("text/plain; version=0.0.4")
    lint = subprocess.run([installed("promtool"), "check", "metrics"], input=text, text=True, capture_output=True)
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")
    for name, kind in rows():
        assert f"# TYPE {name} {kind}\n" in text, name


def test_every_row_of_the_table_is_found_and_none_that_is_not_there(scraped: Scraped) -> None:
    assert len(rows()) > 50
    for name, kind in rows():
        series = f"{name}_count" if kind == "histogram" else name
        assert scraped.ask("query", query=series), f"Prometheus has no {series}"
    known = {name for name, _ in rows()}
    for found in scraped.ask("label/__name__/values", match='{job="tollgate"}'):
        bare = re.sub(r"_(bucket|count|sum)$", "", found)
        assert bare in known or found in known or found == "up" or found.startswith("scrape_"), found


@pytest.mark.parametrize(("query", "value"), VALUES.items())
def test_a_query_gives_what_the_load_did(scraped: Scraped, query: str, value: float) -> None:
    assert scraped.value(query) == value


def test_every_row_of_the_table_has_its_value_compared() -> None:
    text = "\n".join(VALUES)
    assert [name for name, _ in rows() if not re.search(rf"\b{name}(_count|_bucket)?\b", text)] == []


def test_examples_of_durations_lead_to_calls_and_traces(scraped: Scraped) -> None:
    now = time.time()
    traces = {span.attributes["tollgate.call_id"]: span.trace for span in scraped.spans if span.kind == SERVER}
    assert TRACE in traces.values()
    for name in ("http_server_request_duration_seconds_bucket", "http_client_request_duration_seconds_bucket"):
        found = scraped.ask("query_exemplars", query=name, start=str(now - 600), end=str(now + 60))
        labels = [example["labels"] for series in found for example in series["exemplars"]]
        assert labels, name
        assert {one["call_id"] for one in labels} <= scraped.call_ids
        assert all(one["trace_id"] == traces[one["call_id"]] for one in labels), labels


def test_the_spans_that_are_counted_are_those_that_came(scraped: Scraped) -> None:
    assert scraped.value("tollgate_spans_exported_total") == len(scraped.spans)
    assert len([span for span in scraped.spans if span.kind == SERVER]) == 23


def test_only_who_asks_for_openmetrics_gets_it(scraped: Scraped) -> None:
    kind, text = scraped.page(PROMETHEUS_2)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n") and 'call_id="' in text
    kind, text = scraped.page("*/*")
    assert kind.startswith("text/plain") and "call_id" not in text
