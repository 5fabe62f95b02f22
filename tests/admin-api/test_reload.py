"""The configuration is read again by an order, as by a signal."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from conftest import Gateway


def reload(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{gateway.address}/api/reload",
        data=b'{"because": "the file was changed"}',
        headers={"x-api-key": gateway.changer, "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_good_file_is_taken_over_and_a_wrong_one_changes_nothing_and_says_why(gateway: Gateway) -> None:
    good = gateway.file.read_text(encoding="utf-8")
    assert reload(gateway) == (200, {"reloaded": True, "warnings": []})
    gateway.file.write_text(good.replace("[state]", "[stat]"), encoding="utf-8")
    status, refused = reload(gateway)
    assert (status, refused["code"]) == (409, "reload-refused")
    assert "there is no key 'stat'" in refused["detail"]
    gateway.file.write_text(good, encoding="utf-8")
    assert reload(gateway)[0] == 200
    told = [json.loads(line) for line in gateway.audit.read_text(encoding="utf-8").splitlines()]
    ends = [(line["outcome"], line["because"]) for line in told if line["act"] == "reload"]
    assert ("done", "the file was changed") in ends
    assert any(outcome == "refused" for outcome, _ in ends)
