"""One gateway with an admin port, before a simulated Courier, for the whole suite."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis

# How the programs are started stands in the suite with Courier's SDKs.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sdk"))

from suite.programs import (  # noqa: E402
    Credentials,
    Program,
    clean_environment,
    start_simulator,
    tollgate,
    wait_for_address,
)


@dataclass(frozen=True)
class Gateway:
    program: Program
    file: Path
    audit: Path
    address: str
    changer: str
    reader: str
    app: str

    def document(self) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.address}/api/openapi.json", headers={"x-api-key": self.reader})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def new_key(*arguments: str) -> tuple[str, str]:
    """The text of a key, and its entry in the configuration."""
    made = subprocess.run(
        [tollgate(), "keys", "new", *arguments], env=clean_environment(), capture_output=True, text=True, check=True
    ).stdout
    text, entry = re.search(r"tg_\S+", made), re.search(r"keys = \[(.*)\]", made)
    assert text and entry, made
    return text[0], entry[1]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "token").write_text(Credentials.make().token, encoding="utf-8")
    (folder / "state").mkdir()
    changer, may_change = new_key("--admin", "--id", "changer")
    reader, may_look = new_key("--admin", "--id", "reader")
    app, entry = new_key("--app", "billing", "--id", "k1")
    may_change = may_change.replace('rights = "read"', 'rights = "change"')
    with ExitStack() as programs:
        simulator = start_simulator(folder)
        programs.callback(simulator.stop)
        file = folder / "tollgate.toml"
        file.write_text(
            f"""
            [server]
            listen = "127.0.0.1:0"
            drain_delay = "0s"
            [ops]
            listen = "127.0.0.1:0"
            [admin]
            listen = "127.0.0.1:0"
            keys = [{may_change}, {may_look}]
            audit = "{folder}/audit.log"
            [vendor]
            base_url = "http://{wait_for_address(simulator)}"
            [state]
            dir = "{folder}/state"
            [[tenant]]
            id = "acme"
            [[tenant.connection]]
            id = "acme-prod"
            token = {{ file = "{folder}/token" }}
            [[tenant.app]]
            id = "billing"
            scopes = ["*"]
            keys = [{entry}]
            """,
            encoding="utf-8",
        )
        program = Program([tollgate(), "serve", "--config", str(file)])
        programs.callback(program.stop)
        address = f"http://{wait_for_address(program, 'admin')}"
        yield Gateway(program, file, folder / "audit.log", address, changer, reader, app)


def named(part: Any) -> Any:
    """The same, where a name is one that is there, or another kind's: otherwise nothing would ever be found."""
    if isinstance(part, dict):
        if part.get("pattern", "").startswith("^[a-z0-9][a-z0-9._-]"):
            return {"type": part["type"], "enum": ["acme", "acme-prod", "billing"]}
        return {name: named(it) for name, it in part.items()}
    return [named(it) for it in part] if isinstance(part, list) else part


@pytest.fixture(scope="session")
def described(gateway: Gateway) -> Any:
    """What is served of the description, but for the stream: it does not end."""
    document = gateway.document()
    # Whoever looks for calls of an app that is not there finds none.
    calls = document["paths"]["/api/calls"]
    document = named(document)
    document["paths"]["/api/calls"] = calls
    del document["paths"]["/api/events"]
    for path, operations in document["paths"].items():
        document["paths"][path] = {name: it for name, it in operations.items() if not it.get("x-not-yet")}
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=gateway.address)
    return schema
