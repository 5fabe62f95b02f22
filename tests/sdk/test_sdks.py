"""Courier's own SDKs, unmodified, get the same from the gateway as from the vendor.

Each run starts two simulators of one seed, and one gateway before the first of them. One client drives one scenario
through the gateway and once more directly at the second simulator; then what came back is compared, and what arrived.
"""

from __future__ import annotations

from itertools import product

import pytest

from suite.compare import differences
from suite.journal import connector_operations, operations_done
from suite.run import CLIENTS, DIRECT, Run, perform
from suite.scenario import NAMES

# The release that is driven, and how many methods it has.
SDKS = {"python": ("9.13.0", 168), "python-async": ("9.13.0", 168), "node": ("7.10.2", 103)}

# The asynchronous client makes its requests as the synchronous one does; its methods and its way to send are its own.
NOT_TWICE = {("ids", "python-async"), ("large", "python-async")}

RUNS = [run for run in product(NAMES, CLIENTS) if run not in NOT_TWICE]


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario, client = request.param
    return perform(scenario, client, tmp_path_factory.mktemp("gateway"))


def none(found: list[str], where: str) -> None:
    assert not found, "\n".join([where, *found])


def test_each_step_goes_as_the_scenario_says(run: Run) -> None:
    none(run.direct.summary["unexpected"], "directly")
    none(run.through.summary["unexpected"], "through the gateway")


def test_the_results_are_the_vendors_field_by_field(run: Run) -> None:
    none(differences(run.through.lines, run.direct.lines), "results")


def test_the_same_calls_reach_the_vendor_byte_for_byte(run: Run) -> None:
    none(differences(run.through.within_limits(), run.direct.within_limits()), "requests")


def test_only_the_tenants_token_reaches_the_vendor(run: Run) -> None:
    assert run.through.received != []
    for call in run.through.received:
        assert call.header("authorization") == [f"Bearer {run.credentials.token}"], call.line
        assert call.header("x-api-key") == [], call.line
        assert not call.mentions(run.credentials.key), f"{call.line} carries the key of the gateway"


@pytest.mark.skipif(DIRECT, reason="the gateway was left out on purpose")
def test_what_the_sdk_tells_of_its_machine_stays_inside(run: Run) -> None:
    for call in run.through.received:
        assert [name for name, _ in call.headers if name.startswith("x-stainless-")] == [], call.line


def test_no_method_and_no_operation_is_left_out(run: Run) -> None:
    summary = run.through.summary
    counted = f"{summary['driven']} of {summary['found']} methods in {summary['calls']} calls"
    print(f"{run.scenario}, {run.client}: {counted}")
    assert (summary["version"], summary["found"]) == SDKS[run.client]
    if run.scenario == "all":
        assert summary["missing"] == []
    if run.scenario == "connector":
        assert connector_operations().keys() - operations_done(run.direct.received) == set()
