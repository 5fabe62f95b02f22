"""One simulated Courier and one gateway, and what each of them saw."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from suite.journal import Received, read_journal
from suite.programs import (
    TOKEN_VARIABLE,
    Credentials,
    Program,
    clean_environment,
    configuration,
    start_simulator,
    tollgate,
    wait_for_address,
)

from .releases import Release

# For all that one SDK does in a test; many times what it takes.
PATIENCE = 120.0

# As much as the simulator's journal holds.
JOURNAL = 20000

QUOTA = '[quota]\ncalls = 100000\nwindow = "60s"\n'


class World:
    """Starts both anew: no release must see what another one left behind."""

    def __init__(self, programs: ExitStack, folder: Path, *, quota: str = "", tls: bool = False) -> None:
        self.credentials = Credentials.make()
        simulator = start_simulator(folder)
        programs.callback(simulator.stop)
        self.vendor = wait_for_address(simulator)
        text = configuration(self.vendor, self.credentials)
        assert QUOTA in text
        text = text.replace(QUOTA, f"[quota]\n{quota}\n" if quota else QUOTA)
        text = text.replace("[ops]", 'drain_delay = "0s"\n\n[ops]', 1)
        self.ca = folder / "ca.pem"
        if tls:
            text = text.replace("[ops]", f"{certificate(folder)}\n[ops]", 1)
        config = folder / "tollgate.toml"
        config.write_text(text, encoding="utf-8")
        command = [tollgate(), "serve", "--config", str(config)]
        self.gateway = Program(command, {TOKEN_VARIABLE: self.credentials.token})
        programs.callback(self.gateway.stop)
        self.base = f"{'https' if tls else 'http'}://{wait_for_address(self.gateway)}"

    def fault(self, when: dict[str, Any], effect: dict[str, Any]) -> None:
        body = json.dumps({"when": when, "effect": effect}).encode()
        request = urllib.request.Request(f"http://{self.vendor}/__admin/faults", body, method="POST")
        urllib.request.urlopen(request, timeout=20).close()

    def drive(self, release: Release, acts: list[str]) -> list[dict[str, Any]]:
        """What the SDK made of each act."""
        return drive(release, acts, self.base, self.credentials.key, self.ca)

    def received(self) -> list[Received]:
        return read_journal(self.vendor)

    def sent(self) -> int:
        """Messages that the vendor took, however often it was asked for each."""
        return sum(self.taken().values())

    def taken(self) -> Counter[str]:
        """How many messages the vendor took of each text."""
        sends = [entry for entry in self.sends() if entry["committed_us"] is not None]
        return Counter(marker(entry["body"]) for entry in sends)

    def sends(self) -> list[dict[str, Any]]:
        """What the vendor was asked to send, each try by itself."""
        with urllib.request.urlopen(f"http://{self.vendor}/__admin/requests?limit={JOURNAL}", timeout=20) as answer:
            journal = json.load(answer)
        assert journal["dropped"] == 0
        return [entry for entry in journal["requests"] if entry["target"] == "/send"]

    def lines(self) -> list[dict[str, Any]]:
        """The access lines, which are written when the gateway ends."""
        self.gateway.stop()
        lines = [json.loads(line) for line in self.gateway.lines if line.startswith("{")]
        return [line for line in lines if line.get("target") == "access"]


def drive(release: Release, acts: list[str], base: str, key: str, ca: Path) -> list[dict[str, Any]]:
    """Starts the release's driver before whatever listens at `base`."""
    trust = {"REQUESTS_CA_BUNDLE": str(ca)} if ca.exists() else {}
    done = subprocess.run(
        release.command(acts),
        env={**clean_environment(), **release.environment(base, key), **trust},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(lines) == len(acts), f"{release} broke off\n{done.stderr}"
    return lines


def marker(body: str) -> str:
    """The text by which a test knows its send, in the form of any major."""
    sent = json.loads(body)
    return sent["data"]["text"] if "data" in sent else sent["message"]["content"]["body"]


def certificate(folder: Path) -> str:
    """A throw-away authority, `ca.pem`, and the settings of a certificate that it signed."""
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    authority = ["-subj", "/CN=generations", "-keyout", "ca.key", "-out", "ca.pem"]
    leaf = ["-subj", "/CN=gateway", "-keyout", "key.pem", "-out", "cert.pem", "-CA", "ca.pem", "-CAkey", "ca.key"]
    leaf += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    for options in (authority, leaf):
        subprocess.run([*request, *options], cwd=folder, check=True, capture_output=True)
    return f"tls = {{ cert = '{folder / 'cert.pem'}', key = '{folder / 'key.pem'}' }}\n"
