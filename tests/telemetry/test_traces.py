"""Spans as a real collector receives them, and what a collector that is away, silent or slow costs: spans, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import pytest
from parts.collectors import CLIENT, INTERNAL, SERVER, BlackHole, Nobody, OtelTap, Sink
from parts.gateway import Gateway, Key, wait_until

TOKENS = {"BUSY_TOKEN": "tok-busy", "NARROW_TOKEN": "tok-narrow", "COLLECTOR_SECRET": "Bearer of-the-collector"}
PARENT = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
TRACEPARENT = f"00-{PARENT[0]}-{PARENT[1]}-01"
SEND = {"message": {"to": {"user_id": "u"}, "content": {"title": "t", "body": "b"}}}
LOST = "spans are lost; tollgate_spans_dropped_total counts them"
SPANS = ("tollgate_spans_exported_total", "tollgate_spans_dropped_total")


def once(id: str, effect: str) -> str:
    """A fault for one try of a call, whatever its retries carry."""
    return f'{{"id":"{id}","when":{{"times":1}},"effect":{effect}}}'


class Rig:
    """A gateway with an app that is trusted and one that is not, and one whose connection has room for two calls."""

    def __init__(self, start: Callable[..., Gateway], new_key: Callable[..., Key], vendor: str) -> None:
        self.start, self.vendor, self.grace = start, vendor, "60s"
        self.trusted, self.other, self.narrow = (new_key(app, app) for app in ("trusted", "other", "narrow"))

    def toml(self, traces: str) -> str:
        return f"""
[server]
listen = "127.0.0.1:0"
drain_delay = "0s"
grace = "{self.grace}"
[ops]
listen = "127.0.0.1:0"
[vendor]
base_url = "http://{self.vendor}"
[traces]
{traces}
[quota]
calls = 100000
[[tenant]]
id = "acme"
[[tenant.connection]]
id = "busy"
token = {{ env = "BUSY_TOKEN" }}
[[tenant.connection]]
id = "narrow"
token = {{ env = "NARROW_TOKEN" }}
quota = {{ calls = 2, window = "1s", max_wait = "5s", depth = 8, app_depth = 8 }}
[[tenant.app]]
id = "trusted"
{self.trusted.entry}
connections = ["busy"]
trace_context = "parent"
[[tenant.app]]
id = "other"
{self.other.entry}
connections = ["busy"]
[[tenant.app]]
id = "narrow"
{self.narrow.entry}
connections = ["narrow"]
"""

    def gateway(self, traces: str) -> Gateway:
        return self.start(self.toml(traces), **TOKENS)


@pytest.fixture
def rig(start_gateway: Callable[..., Gateway], new_key: Callable[..., Key], simulator: str) -> Rig:
    return Rig(start_gateway, new_key, simulator)


def many(gateway: Gateway, key: Key, calls: int) -> None:
    """So many calls, eight at a time; each must be answered well."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.call(key, "GET", "/messages").status, range(calls)))
    assert answers == [200] * calls


def script(gateway: Gateway, rig: Rig) -> int:
    """Calls of every kind; how many they are."""
    call = gateway.call
    assert call(rig.trusted, "GET", "/messages", traceparent=TRACEPARENT, tracestate="a=1").status == 200
    assert call(rig.other, "GET", "/messages", traceparent=TRACEPARENT).status == 200
    assert call(rig.other, "GET", "/brands").status == 200
    assert call(rig.other, "GET", "/brands").headers["cache-status"].startswith("tollgate; hit")
    for n, effect in enumerate(['{"answer":{"kind":"status","status":503}}', '{"wire":{"kind":"cut","after":0}}']):
        assert call(rig.other, "GET", "/messages", x_simulator_fault=once(f"f{n}", effect)).status == 200
    assert call(rig.other, "POST", "/send", SEND, idempotency_key="order-1").status == 202
    replayed = call(rig.other, "POST", "/send", SEND, idempotency_key="order-1")
    assert replayed.headers["idempotency-replayed"] == "true"
    broken = call(rig.other, "POST", "/bulk", {"message": {"event": "e"}}, x_simulator_fault='{"wire":{"kind":"cut","after":0}}')
    assert (broken.status, broken.headers["tollgate-outcome"]) == (502, "unknown")
    assert call(rig.other, "GET", "/no/such/path").status == 404
    assert call(rig.other, "GET", "/messages", x_api_key="tg_other_wrong").status == 401
    with ThreadPoolExecutor(4) as pool:
        waited = list(pool.map(lambda _: call(rig.narrow, "GET", "/messages").status, range(4)))
    assert waited == [200] * 4
    return 11 + 4


def test_each_span_of_each_call_arrives_once_and_below_its_own(rig: Rig, oteltap: OtelTap) -> None:
    gateway = rig.gateway(f'endpoint = "{oteltap.endpoint}"\nratio = 1.0')
    calls = script(gateway, rig)
    assert gateway.stop() == 0, "what waits is sent at the end"
    lines, spans = gateway.calls(), oteltap.spans()
    assert len(lines) == calls
    assert [id for id, times in Counter(span.id for span in spans).items() if times > 1] == []
    wholes = {span.attributes["tollgate.call_id"]: span for span in spans if span.kind == SERVER}
    assert wholes.keys() == {line["call_id"] for line in lines}
    below = {id: list(group) for id, group in groupby(sorted(spans, key=lambda s: s.parent), lambda s: s.parent)}
    seen = len(wholes)
    for line in lines:
        whole = wholes[line["call_id"]]
        assert (whole.trace, whole.attributes["tollgate.code"]) == (line["trace_id"], line["code"])
        children = below.get(whole.id, [])
        tries = sorted((span for span in children if span.kind == CLIENT), key=lambda span: span.start)
        waits = [span for span in children if span.kind == INTERNAL]
        seen += len(children)
        assert len(tries) == line["attempts"] == int(whole.attributes["tollgate.attempts"])
        assert [int(span.attributes.get("http.request.resend_count", 0)) for span in tries] == list(range(len(tries)))
        assert len(waits) == len(tries) and all(span.name == "queue" for span in waits)
        assert all(span.trace == whole.trace and whole.start <= span.start <= span.end <= whole.end for span in children)
        assert abs(sum(span.end - span.start for span in waits) / 1e6 - line["queue_ms"]) < 0.01
    assert seen == len(spans), "nothing else arrived"
    theirs = [wholes[line["call_id"]] for line in lines[:2]]
    assert (theirs[0].trace, theirs[0].parent, theirs[0].links) == (*PARENT, [])
    assert theirs[1].trace != PARENT[0] and (theirs[1].parent, theirs[1].links) == ("", [PARENT])
    print(f"{len(spans)} spans of {calls} calls: {Counter(span.kind for span in spans)}")
    long = [span for span in spans if span.kind == INTERNAL and span.end - span.start > 900e6]
    assert len(long) == 2, "two of the four waited for their turn"


def test_at_ratio_0_errors_and_slow_calls_are_kept_and_nothing_else(rig: Rig, oteltap: OtelTap) -> None:
    gateway = rig.gateway(f'endpoint = "{oteltap.endpoint}"\nratio = 0.0\nslow = "800ms"')
    script(gateway, rig)
    gateway.call(rig.other, "GET", "/messages", x_simulator_latency_ms="900", x_request_id="slow")
    assert gateway.stop() == 0
    spans = {span.attributes["tollgate.call_id"]: span for span in oteltap.spans() if span.kind == SERVER}
    kept = [line for line in gateway.calls() if line["call_id"] in spans]
    reasons = Counter((line["code"], line["total_ms"] > 800) for line in kept)
    # The trusted app's parent was sampled; two of the narrow app's calls waited for a second.
    assert reasons == {("ok", False): 1, ("ok", True): 3, ("vendor-unreachable", False): 1}
    (followed,) = (line for line in kept if line["code"] == "ok" and line["total_ms"] <= 800)
    assert spans[followed["call_id"]].trace == PARENT[0]
    (broken,) = (span for span in spans.values() if span.error)
    assert broken.attributes["error.type"] == "vendor-unreachable"


@pytest.mark.parametrize("useless", [Nobody, BlackHole, lambda: Sink(delay=0.2)], ids=["down", "silent", "slow"])
def test_a_collector_that_is_of_no_use_costs_counted_spans_and_nothing_else(rig: Rig, useless: Any) -> None:
    with useless() as collector:
        settings = f'endpoint = "{collector.endpoint}"\nratio = 1.0\nqueue = 64\nbatch = 16\ntimeout = "1s"\ninterval = "50ms"'
        gateway = rig.gateway(settings)
        waiting, made = [], 0
        for _ in range(10):
            many(gateway, rig.other, 30)
            made += 30 * 3
            # Nobody calls now: what was made and has not left is what waits.
            wait_until(lambda: len(gateway.calls()) * 3 == made)
            samples = gateway.metrics()
            waiting.append(made - sum(samples[name] for name in SPANS))
        wait_until(lambda: sum(gateway.metrics()[name] for name in SPANS) == made, lambda: gateway.metrics())
        exported, dropped = (gateway.metrics()[name] for name in SPANS)
        print(f"{made} spans made, {exported:.0f} exported, {dropped:.0f} dropped, at most {max(waiting):.0f} waiting")
        assert 0 < max(waiting) <= 64
        assert dropped > 0
        assert exported == (collector.spans() if isinstance(collector, Sink) else 0)
        many(gateway, rig.other, 20)
        assert gateway.stop() == 0, "the grace is 60 s: nobody waits so long for a collector"
        assert 1 <= gateway.said(LOST) <= 1 + gateway.said("spans reach the collector again"), "a line for each change"


@pytest.mark.parametrize(("grace", "timeout"), [("60s", "2s"), ("1s", "60s")])
def test_the_end_waits_for_a_silent_collector_no_longer_than_for_one_request_nor_than_the_grace(
    rig: Rig, grace: str, timeout: str
) -> None:
    with BlackHole() as collector:
        settings = f'endpoint = "{collector.endpoint}"\nratio = 1.0\nbatch = 8\ntimeout = "{timeout}"'
        rig.grace = grace
        gateway = rig.gateway(settings)
        many(gateway, rig.other, 100)
        # 300 spans in requests of 8 would take 76 s.
        assert gateway.stop() == 0, "it ends within the suite's 20 s"
        assert gateway.said("the collector did not take the last spans in time") == 1


def test_the_collector_gets_its_secret_the_resource_and_nothing_of_the_environment(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-stray=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "stray=1")
    with Sink() as sink:
        secret = 'headers = { authorization = { env = "COLLECTOR_SECRET" } }'
        gateway = rig.gateway(f'endpoint = "{sink.endpoint}/here"\nratio = 1.0\nservice_name = "edge"\n{secret}')
        many(gateway, rig.other, 1)
        assert gateway.stop() == 0
        ((fields, sent),) = sink.requests
    assert (fields[":path"], fields["authorization"]) == ("/here/v1/traces", TOKENS["COLLECTOR_SECRET"])
    assert fields["content-type"] == "application/x-protobuf" and "x-stray" not in fields
    resource = {row.key: row.value.string_value for row in sent.resource_spans[0].resource.attributes}
    assert (resource["service.name"], resource["telemetry.sdk.language"]) == ("edge", "rust")
    assert resource["service.version"] and len(resource["service.instance.id"]) == 32 and "stray" not in resource
    assert TOKENS["COLLECTOR_SECRET"].split()[1] not in "\n".join(gateway.program.lines)


def test_spans_that_the_collector_refuses_are_dropped_ones(rig: Rig) -> None:
    with Sink(refused=2) as sink:
        gateway = rig.gateway(f'endpoint = "{sink.endpoint}"\nratio = 1.0\ninterval = "50ms"')
        many(gateway, rig.other, 1)
        wait_until(lambda: sum(gateway.metrics()[name] for name in SPANS) == 3, lambda: gateway.metrics())
        dropped = gateway.metrics()[SPANS[1]]
        assert dropped == sum(min(2, len(s.spans)) for _, sent in sink.requests for r in sent.resource_spans for s in r.scope_spans)


def test_a_reload_moves_spans_to_another_collector_and_loses_none(rig: Rig) -> None:
    with Sink() as before, Sink() as after:
        # An interval that never ends by itself: the old collector gets its spans because of the reload.
        settings = 'endpoint = "{}"\nratio = {}\ninterval = "1h"'
        gateway = rig.gateway(settings.format(before.endpoint, 1.0))
        many(gateway, rig.other, 5)
        gateway.reload(rig.toml(settings.format(after.endpoint, 1.0)))
        wait_until(lambda: before.spans() == 15)
        many(gateway, rig.other, 7)
        gateway.reload(rig.toml(settings.format(after.endpoint, 0.0)))
        many(gateway, rig.other, 9)
        gateway.reload(rig.toml(""))
        wait_until(lambda: after.spans() == 21)
        many(gateway, rig.other, 2)
        assert gateway.metrics()[SPANS[0]] == 36
        assert gateway.stop() == 0
        assert (before.spans(), after.spans()) == (15, 21)


def test_an_outage_of_the_collector_ends_by_itself(rig: Rig) -> None:
    with Nobody() as nobody:
        settings = f'endpoint = "{nobody.endpoint}"\nratio = 1.0\ninterval = "50ms"\ntimeout = "1s"'
        gateway = rig.gateway(settings)
        many(gateway, rig.other, 5)
        wait_until(lambda: gateway.metrics()[SPANS[1]] == 15, lambda: gateway.metrics())
    tap = OtelTap(int(nobody.endpoint.rsplit(":", 1)[1]))
    try:
        many(gateway, rig.other, 5)
        wait_until(lambda: gateway.metrics()[SPANS[0]] == 15, lambda: gateway.metrics())
        wait_until(lambda: gateway.said("spans reach the collector again") == 1)
        assert gateway.said(LOST) == 1
        spans = tap.spans()
        assert len({span.id for span in spans}) == len(spans) == 15
    finally:
        tap.stop()

