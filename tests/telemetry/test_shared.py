"""What Prometheus sees of a gateway that shares its quotas through a Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from scraped import Scraped, until
from test_prometheus import WITH_A_STORE, table


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """After a read and a write, when Prometheus has seen both."""
    with ExitStack() as stack:
        scraped = Scraped(stack, tmp_path_factory.mktemp("sharing"), shares=True)
        until("Prometheus has seen the store", lambda: scraped.value("tollgate_shared_store_up") == 1)
        assert scraped.call("GET", "/brands", "acme") == 200
        assert scraped.call("PUT", "/lists/a", "acme", '{"name":"n"}') == 204
        until("Prometheus has scraped the last call", lambda: scraped.value("sum(tollgate_requests_total)") == 2)
        yield scraped


def test_every_row_of_a_shared_store_is_found(sharing: Scraped) -> None:
    names = [(name, kind) for name, kind in table() if WITH_A_STORE.match(name)]
    assert len(names) == 6
    for name, kind in names:
        series = f"{name}_count" if kind == "histogram" else name
        assert sharing.ask("query", query=series), f"Prometheus has no {series}"


@pytest.mark.parametrize(
    ("query", "value"),
    {
        'tollgate_shared_store_up{kind="single"}': 1,
        'tollgate_shared_store_commands_total{outcome="done"} > bool 3': 1,
        # Before it was connected it may have been asked in vain.
        'sum(tollgate_shared_store_commands_total{outcome!~"done|away"})': 0,
        'tollgate_shared_quotas{state="away"}': 0,
        # That of the connection, and the named one that the write paid.
        'tollgate_shared_quotas{state="lent"}': 2,
        "sum(tollgate_cache_unconfirmed_total)": 0,
        "sum(tollgate_cache_untold_writes_total)": 0,
    }.items(),
)
def test_a_query_gives_how_the_gateway_stands_with_its_store(sharing: Scraped, query: str, value: float) -> None:
    assert sharing.value(query) == value
