"""The releases that are driven, and how each is installed and pointed at a gateway. Everything is pinned."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
INSTALLED = HERE / "installed"

PYTHON = ["1.9.0", "2.0.0", "3.0.0", "4.7.0", "5.0.0", "6.2.1", "7.26.2", "8.0.0", "9.13.0"]
NODE = ["1.7.3", "2.8.0", "3.16.0", "4.9.0", "5.7.0", "6.6.0", "7.10.2"]


@dataclass(frozen=True)
class Release:
    language: str
    version: str

    def __str__(self) -> str:
        return f"{self.language} {self.version}"

    @property
    def name(self) -> str:
        return f"{'PyPI' if self.language == 'python' else 'npm'} {self.version}"

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def package(self) -> str:
        return "trycourier" if self.language == "python" else "@trycourier/courier"

    @property
    def line(self) -> str:
        """What the gateway's access line calls it."""
        return f"{'python' if self.language == 'python' else 'js'}/{self.version}"

    @property
    def counts_retries(self) -> bool:
        return self.major >= 7

    @property
    def retries(self) -> bool:
        """It tries again by itself; PyPI 6 where it is told to."""
        return self.major >= 6

    @property
    def pointed_by(self) -> str:
        """How an application points it at a gateway."""
        if self.major == 6:
            return "`COURIER_AUTH_TOKEN`; " + ("`base_url=`" if self.language == "python" else "`environment:`")
        return f"`{'COURIER_API_KEY' if self.major > 6 else 'COURIER_AUTH_TOKEN'}`, `COURIER_BASE_URL`"

    def environment(self, base: str, key: str) -> dict[str, str]:
        """The two settings; major 6 takes the base URL in code alone, so it reads ours."""
        names = ("COURIER_API_KEY" if self.major > 6 else "COURIER_AUTH_TOKEN", "COURIER_BASE_URL")
        place = {"SUITE_BASE_URL": base} if self.major == 6 else {names[1]: base}
        path = {"PYTHONPATH": str(self.folder)} if self.language == "python" else {}
        return {names[0]: key, **place, **path}

    @property
    def folder(self) -> Path:
        return INSTALLED / f"{self.language}-{self.version}"

    def command(self, acts: list[str]) -> list[str]:
        program, driver = (sys.executable, "python.py") if self.language == "python" else (node(), "node.mjs")
        return [program, str(HERE / "drivers" / driver), str(self.major), *acts]

    def install(self) -> None:
        """A folder of its own for each Python release: they share names. Node's aliases come with `npm ci`."""
        if self.language == "node":
            place = HERE / "node_modules" / f"courier{self.major}"
            assert place.is_dir(), "run `npm ci --prefix tests/generations` first"
            return
        INSTALLED.mkdir(exist_ok=True)
        # Tests may run side by side: who comes second waits, and finds it installed.
        with (INSTALLED / f"{self.folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.folder.is_dir():
                self.install_python()

    def install_python(self) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        chosen = ["--constraint", str(HERE / "constraints.txt"), f"{self.package}=={self.version}"]
        # Moved into its place when it is whole.
        part = INSTALLED / f"{self.folder.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run([*pip, "--target", str(part), *chosen], check=True)
        part.rename(self.folder)


def node() -> str:
    found = shutil.which("node")
    assert found, "node is not installed"
    return found


RELEASES = [Release("python", version) for version in PYTHON] + [Release("node", version) for version in NODE]
