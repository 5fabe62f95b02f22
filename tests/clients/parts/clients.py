"""The clients: what starts each of them, and of which version it is.

A driver makes one GET, and then for each row of a file (path, key, size) a POST and a GET. For each row it prints what it
heard as one line of JSON: `status`, `code`, `retry_after` and `version`, or `error`; `next` is the status of the GET.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .commands import curl, nghttp
from .gateway import Gateway

HERE = Path(__file__).resolve().parents[1]
DRIVERS = HERE / "drivers"
JARS = [f"/usr/share/java/{name}.jar" for name in ("okhttp", "okio")]
# Debian's packages of Go libraries, and no network.
GO = {"GOPATH": "/usr/share/gocode", "GO111MODULE": "off", "GOFLAGS": ""}
# A driver has ten times this long for all of its rows before it counts as hanging.
PATIENCE = 30.0

Row = tuple[str, str, int]


@dataclass(frozen=True)
class Client:
    """`run` takes the gateway, rows and a scratch folder, and tells what was heard."""

    name: str
    version: Callable[[], str]
    run: Callable[[Gateway, list[Row], Path], list[dict[str, Any]]]
    scheme: str = "https"
    # Whether each row has a connection of its own.
    anew: bool = False
    # The smallest body whose refusal it does not hear, through no fault of the gateway's.
    deaf_from: int | None = None


def output(*command: str) -> str:
    needed(command[0])
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(program: str) -> None:
    assert shutil.which(program), f"{program} is missing: see README.md"


def number(text: str) -> str:
    found = re.search(r"\d+(\.\d+)*", text)
    assert found, text
    return found[0]


def driven(command: list[str], before: Callable[[Path], list[str]] | None = None) -> Callable[..., list[dict[str, Any]]]:
    """Runs a driver with base URL, authority, key and rows behind `command`; `before` builds it."""

    def run(gateway: Gateway, rows: list[Row], scratch: Path) -> list[dict[str, Any]]:
        file = scratch / "rows"
        file.write_text("".join(f"{path} {key} {size}\n" for path, key, size in rows), encoding="utf-8")
        whole = before(scratch) if before else command
        needed(whole[0])
        done = subprocess.run(
            [*whole, gateway.base, str(gateway.ca), gateway.key, str(file)],
            capture_output=True,
            text=True,
            timeout=PATIENCE * 10,
            cwd=HERE,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def java(source: str, jars: Iterable[str] = ()) -> Callable[..., list[dict[str, Any]]]:
    for_class = ["-cp", ":".join(jars)] if jars else []
    return driven(["java", *for_class, str(DRIVERS / source)])


def built_go(scratch: Path) -> list[str]:
    program = scratch / "go-client"
    if not program.exists():
        needed("go")
        settings = {**os.environ, **GO, "GOCACHE": str(scratch / "go-cache")}
        subprocess.run(["go", "build", "-o", str(program), str(DRIVERS / "go.go")], env=settings, check=True)
    return [str(program)]


def of_npm(name: str) -> Callable[[], str]:
    return lambda: str(json.loads((HERE / "node_modules" / name / "package.json").read_text("utf-8"))["version"])


def of_debian(package: str) -> Callable[[], str]:
    """The version of what a Debian package holds."""
    return lambda: number(output("dpkg-query", "-W", "-f", "${source:Upstream-Version}", package))


def of_python(name: str) -> Callable[[], str]:
    from importlib.metadata import version

    return lambda: version(name)


def python(name: str) -> Callable[..., list[dict[str, Any]]]:
    return driven([sys.executable, str(DRIVERS / "python.py"), name])


def node(name: str) -> Callable[..., list[dict[str, Any]]]:
    return driven(["node", str(DRIVERS / "node.mjs"), name])


def of_curl() -> str:
    return number(output("curl", "--version"))


CLIENTS = [
    Client("Java HttpClient", lambda: number(output("java", "--version")), java("JavaClient.java")),
    Client("OkHttp", of_debian("libokhttp-java"), java("OkHttp.java", JARS)),
    Client("Go x/net/http2", of_debian("golang-golang-x-net-dev"), driven([], built_go)),
    Client("Python httpx", of_python("httpx"), python("httpx")),
    Client("Python niquests", of_python("niquests"), python("niquests")),
    Client("Node http2", lambda: number(output("node", "--version")), node("http2")),
    Client("Node undici", of_npm("undici"), node("undici"), anew=True),
    Client("Node got", of_npm("got"), node("got"), anew=True, deaf_from=1 << 20),
    Client("curl, TLS", of_curl, curl, anew=True),
    Client("curl, h2c", of_curl, curl, scheme="http", anew=True),
    Client("nghttp", lambda: number(output("nghttp", "--version").split("/")[1]), nghttp, anew=True),
]
