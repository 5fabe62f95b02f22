"""A gateway process before a simulated Courier, with an app whose quota is used up."""

from __future__ import annotations

import hashlib
import re
import secrets
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from suite.programs import Program, start_simulator, tollgate, wait_for_address

# Whose token is in which variable.
TOKENS = {"acme": "CLIENTS_TOKEN_ONE", "used-up": "CLIENTS_TOKEN_TWO"}


class Gateway:
    """Its address, its keys, and how many connections it took."""

    def __init__(self, programs: ExitStack, folder: Path, *, tls: bool) -> None:
        folder.mkdir()
        simulator = start_simulator(folder)
        programs.callback(simulator.stop)
        self.key, self.used_up, self.unknown = (f"tg_{id}_{secrets.token_urlsafe(32)}" for id in ("k1", "k2", "k3"))
        self.ca = folder / "ca.pem"
        text = self.configuration(wait_for_address(simulator)) + (certificate(folder) if tls else "")
        config = folder / "tollgate.toml"
        config.write_text(text, encoding="utf-8")
        tokens = {variable: secrets.token_hex(16) for variable in TOKENS.values()}
        program = Program([tollgate(), "serve", "--config", str(config)], tokens)
        programs.callback(program.stop)
        self.data, self.ops = wait_for_address(program, "data"), wait_for_address(program, "ops")
        self.base = f"{'https' if tls else 'http'}://{self.data}"

    def configuration(self, vendor: str) -> str:
        return f"""\
[ops]
listen = "127.0.0.1:0"

[vendor]
base_url = "http://{vendor}"

# Longer than the suite runs: what is used up stays so.
[quota]
calls = 100000
window = "1h"

[[tenant]]
id = "acme"
{tenant("acme", "k1", self.key, "")}
[[tenant]]
id = "used-up"
{tenant("used-up", "k2", self.used_up, "quota = { calls = 1 }")}
[server]
listen = "127.0.0.1:0"
drain_delay = "0s"
"""

    def accepted(self) -> int:
        """Client connections that were accepted so far."""
        with urllib.request.urlopen(f"http://{self.ops}/metrics", timeout=20) as page:
            found = re.search(r"^tollgate_client_sockets_accepted_total (\d+)", page.read().decode(), re.M)
        assert found
        return int(found[1])


def tenant(name: str, id: str, key: str, quota: str) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"""\
[[tenant.connection]]
id = "{name}-prod"
token = {{ env = "{TOKENS[name]}" }}
{quota}
[[tenant.app]]
id = "{name}"
keys = [{{ id = "{id}", sha256 = "{digest}" }}]
scopes = ["*"]
"""


def certificate(folder: Path) -> str:
    """A throw-away authority, `ca.pem`, and the settings of a certificate that it signed."""
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    authority = ["-subj", "/CN=clients", "-keyout", "ca.key", "-out", "ca.pem"]
    leaf = ["-subj", "/CN=gateway", "-keyout", "key.pem", "-out", "cert.pem", "-CA", "ca.pem", "-CAkey", "ca.key"]
    extensions = ["subjectAltName=IP:127.0.0.1", "basicConstraints=critical,CA:FALSE"]
    for extension in extensions:
        leaf += ["-addext", extension]
    for options in (authority, leaf):
        subprocess.run([*request, *options], cwd=folder, check=True, capture_output=True)
    return f"tls = {{ cert = '{folder / 'cert.pem'}', key = '{folder / 'key.pem'}' }}\n"
