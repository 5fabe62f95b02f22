"""The programs that a test needs, started for it alone and stopped after it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# How the programs are started stands in the suite with Courier's SDKs.
sys.path[:0] = [str(HERE), str(HERE.parent / "sdk")]

from parts.gateway import Gateway, Key, simulator_address  # noqa: E402
from parts.collectors import OtelTap  # noqa: E402


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    """Stops whatever was started, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def simulator(programs: ExitStack, tmp_path: Path) -> str:
    """The address of a simulated Courier."""
    return simulator_address(programs, tmp_path)


@pytest.fixture
def start_gateway(programs: ExitStack, tmp_path: Path) -> Callable[..., Gateway]:
    """Starts a gateway with a configuration, and with variables of its environment."""
    return lambda toml, **environment: Gateway(programs, tmp_path, toml, environment)


@pytest.fixture
def new_key() -> Callable[[str, str], Key]:
    """Makes a key of an app: `new_key("billing", "k1")`."""
    return Key.new


@pytest.fixture
def oteltap(programs: ExitStack) -> OtelTap:
    """A receiver of OTLP that is not ours."""
    tap = OtelTap()
    programs.callback(tap.stop)
    return tap
