"""Finds and calls the methods of the Python SDK by introspection, so that none can be forgotten."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from courier._resource import AsyncAPIResource, SyncAPIResource

from .scenario import Call

RESOURCE = (SyncAPIResource, AsyncAPIResource)

# The same methods again, in other wrappings.
WRAPPINGS = {"with_raw_response", "with_streaming_response"}


def find_methods(client: Any) -> set[str]:
    """The dotted name of every method of every resource."""
    return {name for resource in resources_of(client) for name in methods_below(getattr(client, resource), resource)}


def resources_of(holder: Any) -> list[str]:
    public = [name for name in dir(type(holder)) if not name.startswith("_") and name not in WRAPPINGS]
    return [name for name in public if isinstance(getattr(holder, name, None), RESOURCE)]


def methods_below(resource: Any, path: str) -> set[str]:
    own = {f"{path}.{name}" for name, _ in inspect.getmembers(resource, inspect.ismethod) if not name.startswith("_")}
    for name in resources_of(resource):
        own |= methods_below(getattr(resource, name), f"{path}.{name}")
    return own


def bind(client: Any, call: Call) -> Callable[[], Any]:
    """The call, ready to be made. Names that the method does not know are an error of the SDK's own making."""
    method = reduce(getattr, call.method.split("."), client)
    parameters = inspect.signature(method).parameters
    positional = [] if call.id is None else [call.id]
    named = {parameter_name(name, parameters): value for name, value in call.args.items()}
    headers = {"extra_headers": call.headers} if call.headers else {}
    return lambda: method(*positional, **named, **headers)


def parameter_name(wire: str, parameters: Any) -> str:
    """`messageId` is the parameter `message_id`, and `if` is `if_`, since it is a word of the language."""
    snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", wire).lower()
    return snake if snake in parameters else f"{snake}_"
