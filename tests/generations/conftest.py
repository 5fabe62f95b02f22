"""Makes the parts importable, installs each release once, and starts the programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# How the programs are started, and the journal's form, stand in the suite with Courier's newest SDKs.
sys.path[:0] = [str(HERE), str(HERE.parent / "sdk")]

from parts.releases import RELEASES, Release  # noqa: E402
from parts.world import World  # noqa: E402


# The SDKs bring tests of their own.
collect_ignore = ["installed", "node_modules"]


@pytest.fixture(scope="session", params=RELEASES, ids=str)
def release(request: pytest.FixtureRequest) -> Release:
    request.param.install()
    return request.param


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    with ExitStack() as programs:
        yield lambda **settings: World(programs, tmp_path, **settings)
