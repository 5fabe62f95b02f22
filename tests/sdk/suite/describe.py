"""Turns what the Python SDK returns or raises into plain JSON, without losing a type or a field."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import courier
from pydantic import BaseModel, ValidationError

# Longer texts are told apart by length and digest: a body of 6 MB has no place in a transcript.
LONG = 4096


def describe(value: Any) -> Any:
    """Every field that the vendor sent, declared or not, with the class that the SDK chose for it."""
    if isinstance(value, BaseModel):
        return {"$class": type(value).__name__, **{k: describe(v) for k, v in sorted(fields_of(value).items())}}
    if isinstance(value, dict):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(inner) for inner in value]
    if isinstance(value, str) and len(value) > LONG:
        return {"$long": len(value), "$sha256": hashlib.sha256(value.encode()).hexdigest()}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, date):
        return {"$class": type(value).__name__, "value": value.isoformat()}
    return {"$class": type(value).__name__, "value": repr(value)}


def fields_of(model: BaseModel) -> dict[str, Any]:
    """Fields left out of the answer are left out here too: absent and null are two different results."""
    declared = {name: getattr(model, name) for name in model.model_fields_set if name in type(model).model_fields}
    return {**declared, **(model.model_extra or {})}


def wire_form(value: Any) -> Any:
    """The same value by the names of the wire, for later steps to pick from."""
    if not isinstance(value, BaseModel):
        return value
    return value.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)


def describe_error(error: courier.APIError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "status": status_of(error),
        "message": describe(error.message),
        "body": describe(error.body),
        **unlike_the_models(error),
    }


def unlike_the_models(error: courier.APIError) -> dict[str, Any]:
    """What the SDK's models miss in an answer; its own message doesn't say."""
    if not isinstance(error.__cause__, ValidationError):
        return {}
    problems = error.__cause__.errors(include_url=False, include_input=False)
    return {"unlike": [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems]}


def status_of(error: Exception) -> int | None:
    return getattr(error, "status_code", None)
