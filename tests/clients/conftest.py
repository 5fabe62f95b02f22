"""One simulated Courier and one gateway for the whole suite, and where its programs are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# How the programs are started stands in the suite with Courier's SDKs.
sys.path[:0] = [str(HERE), str(HERE.parent / "sdk")]

from parts.gateway import Gateway  # noqa: E402


@pytest.fixture(scope="session")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gateway]]:
    """One that speaks TLS and one that speaks plain HTTP."""
    folder = tmp_path_factory.mktemp("gateways")
    with ExitStack() as programs:
        yield {scheme: Gateway(programs, folder / scheme, tls=scheme == "https") for scheme in ("https", "http")}


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled programs and bodies go."""
    return tmp_path_factory.mktemp("scratch")
