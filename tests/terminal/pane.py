"""A real terminal: one pane of a tmux server that this test alone has."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from parts.gateway import wait_until


class Pane:
    def __init__(self, columns: int, lines: int, environment: dict[str, str]) -> None:
        program = shutil.which("tmux")
        # A suite that skips proves nothing.
        assert program, "tmux is missing: install Debian's package tmux"
        self._tmux = [program, "-L", f"tollgate-{secrets.token_hex(6)}", "-f", "/dev/null", "-u"]
        self._environment = {**environment, "TERM": "xterm-256color"}
        size = ["-x", str(columns), "-y", str(lines)]
        self.tmux("new-session", "-d", *size, "env", "PS1=$ ", "sh")
        self.shows("$")

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], env=self._environment, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done
        return done.stdout

    def type(self, *keys: str) -> None:
        """Keys by their names: `q`, `Enter`, `Down`, `C-c`."""
        self.tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """A line, letter by letter."""
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def resize(self, columns: int, lines: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def screen(self) -> list[str]:
        """What is seen, line by line."""
        return self.tmux("capture-pane", "-p").split("\n")[:-1]

    def value(self, name: str) -> str:
        """What tmux knows of the pane, such as `alternate_on`."""
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def until(self, condition: Callable[[list[str]], Any]) -> list[str]:
        """The screen, as soon as the condition holds."""
        seen: list[list[str]] = []

        def holds() -> Any:
            seen.append(self.screen())
            return condition(seen[-1])

        wait_until(holds, lambda: "\n" + "\n".join(seen[-1]))
        return seen[-1]

    def shows(self, text: str) -> list[str]:
        return self.until(lambda screen: any(text in line for line in screen))

    def close(self) -> None:
        self.tmux("kill-server")
