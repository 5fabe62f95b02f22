"""Whatever the description allows or forbids is sent, and each answer is one that it has."""

from __future__ import annotations

import schemathesis
from conftest import Gateway
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

schema = schemathesis.pytest.from_fixture("described")

# The same in each run.
FEW = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
# What is named must be there, and no example knows what is.
UNKNOWABLE = [positive_data_acceptance]


def is_session(case: Case) -> bool:
    return case.path in ("/api/login", "/api/logout")


@schema.parametrize()
@FEW
def test_whatever_a_key_for_changes_sends_is_answered_as_described(case: Case, gateway: Gateway) -> None:
    case.call_and_validate(headers={"x-api-key": gateway.changer}, excluded_checks=UNKNOWABLE)
    assert gateway.program.process.poll() is None


@schema.parametrize()
@FEW
def test_whatever_a_key_that_looks_sends_changes_nothing(case: Case, gateway: Gateway) -> None:
    answer = case.call_and_validate(headers={"x-api-key": gateway.reader}, excluded_checks=UNKNOWABLE)
    if case.method.upper() not in ("GET", "HEAD") and not is_session(case):
        assert answer.status_code >= 400


def test_no_key_of_the_run_is_in_what_was_printed(gateway: Gateway) -> None:
    printed = "\n".join(gateway.program.lines)
    written = gateway.audit.read_text(encoding="utf-8")
    assert '"outcome":"refused"' in written and '"target":"audit"' in printed
    for text in (printed, written):
        assert '"message":"panic"' not in text
        for key in (gateway.changer, gateway.reader, gateway.app):
            assert key.split("_", 2)[2] not in text
