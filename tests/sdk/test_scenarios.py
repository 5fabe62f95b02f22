"""The scenarios and the drivers' own rules, without any program running."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from functools import reduce
from typing import Any

import courier
import httpx
import pytest

from suite import scenario
from suite.compare import differences
from suite.describe import describe_error
from suite.methods import find_methods, parameter_name
from suite.scenario import Call, Outcome

# Of every method: how to send beside its own arguments. Keys of idempotency go into the scenarios as headers.
COMMON = {"extra_headers", "extra_query", "extra_body", "timeout", "idempotency_key", "x_idempotency_expiration"}

CLIENT = courier.Courier(api_key="none", base_url="http://127.0.0.1:9")


def parameters_of(method: str) -> dict[str, inspect.Parameter]:
    found: Any = reduce(getattr, method.split("."), CLIENT)
    return dict(inspect.signature(found).parameters)


def passed_in(steps: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Each argument that the steps pass, as method and parameter."""
    for step in steps:
        signature = parameters_of(step["call"])
        names = [parameter_name(name, signature) for name in step.get("args", {})]
        names += [next(iter(signature))] if "id" in step else []
        names += ["cursor"] if step.get("pages") else []
        yield from ((step["call"], name) for name in names)


def test_every_argument_of_every_method_is_passed_somewhere() -> None:
    passed = set(passed_in(scenario.load("all").steps + scenario.load("connector").steps))
    known = {(method, name) for method in find_methods(CLIENT) for name in parameters_of(method).keys() - COMMON}
    assert known - passed == set()


@pytest.mark.parametrize("name", scenario.NAMES)
def test_a_step_has_a_name_of_its_own(name: str) -> None:
    names = [(step["step"], step.get("only")) for step in scenario.load(name).steps]
    assert len(names) == len(set(names))


def played(steps: list[dict[str, Any]], outcomes: list[Outcome]) -> list[Call]:
    calls = []
    playing = scenario.play(steps, "python")
    try:
        calls.append(next(playing))
        for outcome in outcomes:
            calls.append(playing.send(outcome))
    except StopIteration:
        pass
    return calls


def test_a_later_step_takes_values_from_an_earlier_answer() -> None:
    steps = [
        {"step": "a", "call": "x.make", "keep": {"made": "results.1.id"}},
        {"step": "b", "call": "x.get", "id": "${made}", "args": {"text": "number ${made}", "n": ["${made}"]}},
    ]
    _, second = played(steps, [Outcome(None, {"results": [{"id": 1}, {"id": 2}]})])
    assert (second.id, second.args) == (2, {"text": "number 2", "n": [2]})


def test_pages_are_followed_to_the_last_and_the_first_answer_counts() -> None:
    steps: list[dict[str, Any]] = [
        {"step": "a", "call": "x.list", "pages": True, "keep": {"first": "id"}},
        {"step": "b", "call": "x.get", "id": "${first}"},
    ]
    answers = [
        {"id": "one", "paging": {"more": True, "cursor": "c1"}},
        {"id": "two", "cursor": "c2"},
        {"paging": {"more": False}},
    ]
    calls = played(steps, [Outcome(None, answer) for answer in answers])
    assert [(call.step, call.args) for call in calls[:3]] == [
        ("a#1", {}),
        ("a#2", {"cursor": "c1"}),
        ("a#3", {"cursor": "c2"}),
    ]
    assert calls[3].id == "one"


def test_a_padded_body_has_exactly_the_bytes_asked_for() -> None:
    steps: list[dict[str, Any]] = [
        {"step": "a", "call": "x.make", "args": {"deep": {"é": ""}}, "pad": {"at": ["deep", "é"], "bytes": 1000}}
    ]
    (call,) = played(steps, [])
    assert len(json.dumps(call.args, ensure_ascii=False, separators=(",", ":")).encode()) == 1000


def test_an_answer_that_the_models_refuse_tells_what_they_miss() -> None:
    answer = httpx.Response(200, json={"paging": {"more": False}, "results": []})
    vendor = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    client = courier.Courier(
        api_key="none", base_url="http://127.0.0.1:9", http_client=vendor, _strict_response_validation=True
    )
    with pytest.raises(courier.APIResponseValidationError) as refused:
        client.lists.list()
    assert describe_error(refused.value)["unlike"] == ["items: Field required"]


def test_differences_are_found_in_values_types_and_lengths() -> None:
    def line(result: object) -> dict[str, Any]:
        return {"step": "s", "result": result}

    assert differences([line({"a": [1]})], [line({"a": [1]})]) == []
    others: list[Any] = [{"a": [True]}, {"a": [1.0]}, {"a": [1, 2]}, {"a": []}, {"a": [1], "b": None}]
    for other in others:
        assert differences([line({"a": [1]})], [line(other)]) != []
    assert differences([], [line(1)]) == ["s: only in the transcript of the vendor"]


def test_only_text_is_forgiven_where_the_gateway_refuses_by_itself() -> None:
    def line(name: str, status: int, text: str) -> dict[str, Any]:
        return {"step": "s", "gateway_answers": True, "error": {"class": name, "status": status, "message": text}}

    assert differences([line("A", 413, "x")], [line("A", 413, "y")]) == []
    assert differences([line("A", 413, "x")], [line("A", 400, "x")]) != []
    assert differences([line("A", 413, "x")], [line("B", 413, "x")]) != []
