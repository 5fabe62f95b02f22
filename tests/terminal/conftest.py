"""A gateway under load, and a terminal that an operator sits at."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
# How programs are started stands in the suites with Courier's SDKs and with receivers of telemetry.
sys.path[:0] = [str(HERE), str(HERE.parent / "sdk"), str(HERE.parent / "telemetry")]

from pane import Pane  # noqa: E402
from parts.gateway import Gateway, Key, simulator_address, wait_until  # noqa: E402
from suite.programs import address_in, clean_environment, tollgate  # noqa: E402

# One connection is short of slots, the other has more than anybody takes.
CONFIGURATION = """
[server]
listen = "127.0.0.1:0"
[ops]
listen = "127.0.0.1:0"
[vendor]
base_url = "http://{vendor}"
[admin]
listen = "127.0.0.1:0"
{operator}
[[tenant]]
id = "acme"
[[tenant.connection]]
id = "acme-prod"
token = {{ env = "PROD_TOKEN" }}
quota = {{ calls = 4, window = "4s", max_wait = "20s", depth = 64, app_depth = 32 }}
[[tenant.connection]]
id = "acme-test"
token = {{ env = "TEST_TOKEN" }}
quota = {{ calls = 10000, window = "10s" }}
[[tenant.app]]
id = "billing"
{billing}
connections = ["acme-prod"]
[[tenant.app]]
id = "news"
{news}
connections = ["acme-test"]
"""


@dataclass
class Rig:
    """A gateway with an admin port, and the key of its operator."""

    gateway: Gateway
    admin: str
    operator: str

    def run(self, *arguments: str) -> str:
        """What a command of the program prints."""
        done = subprocess.run(
            [tollgate(), *arguments], env=self.environment(), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done
        return done.stdout

    def environment(self) -> dict[str, str]:
        own = {"TOLLGATE_ADMIN": self.admin, "TOLLGATE_ADMIN_KEY": self.operator}
        return {**clean_environment(), **own, "LC_ALL": "C.UTF-8"}


def operator_key() -> Key:
    made = subprocess.run(
        [tollgate(), "keys", "new", "--admin", "--id", "ops1"],
        env=clean_environment(), capture_output=True, text=True, check=True,
    ).stdout
    lines = [line.strip() for line in made.splitlines()]
    text = next(line for line in lines if line.startswith("tg_"))
    entry = next(line for line in lines if line.startswith("keys = "))
    return Key(text, entry.replace('"read"', '"change"'))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Eight callers of `billing` want more than its connection has; `news` calls as it likes."""
    folder = tmp_path_factory.mktemp("rig")
    with ExitStack() as programs:
        vendor = simulator_address(programs, folder)
        operator, billing, news = operator_key(), Key.new("billing", "k1"), Key.new("news", "k2")
        toml = CONFIGURATION.format(
            vendor=vendor, operator=operator.entry, billing=billing.entry, news=news.entry
        )
        tokens = {"PROD_TOKEN": "suite-prod", "TEST_TOKEN": "suite-test"}
        gateway = Gateway(programs, folder, toml, tokens)
        admin = told_address(gateway, "admin")
        over = threading.Event()
        programs.callback(over.set)
        callers = [(billing, 0.0)] * 8 + [(news, 0.1)]
        for at, (key, pause) in enumerate(callers):
            threading.Thread(target=calling, args=(gateway, key, pause, over, at), daemon=True).start()
        yield Rig(gateway, admin, operator.text)


def told_address(gateway: Gateway, listener: str) -> str:
    found: list[str] = []

    def told() -> bool:
        found[:] = filter(None, (address_in(line, listener) for line in gateway.program.lines))
        return bool(found)

    wait_until(told)
    return found[0]


def calling(gateway: Gateway, key: Key, pause: float, over: threading.Event, at: int) -> None:
    """Calls until it is over. A path of its own each time: no copy answers."""
    count = 0
    while not over.wait(pause):
        count += 1
        try:
            gateway.call(key, "GET", f"/profiles/caller-{at}-{count}")
        except OSError:
            # The gateway ended, or a caller waited longer than anybody should.
            continue


@pytest.fixture
def pane(rig: Rig) -> Iterator[Callable[..., Pane]]:
    """A terminal with a shell: `pane(80, 24)`."""
    with ExitStack() as panes:

        def open_pane(columns: int, lines: int, **environment: Any) -> Pane:
            pane = Pane(columns, lines, {**rig.environment(), **environment})
            panes.callback(pane.close)
            return pane

        yield open_pane


@pytest.fixture(autouse=True)
def nothing_is_overridden(rig: Rig) -> Iterator[None]:
    """Each test leaves the gateway as it found it."""
    yield
    for override in json.loads(rig.run("overrides", "--json"))["overrides"]:
        rig.run("overrides", "end", override["id"])
