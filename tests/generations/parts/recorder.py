"""Stands where the gateway does: notes each try of an SDK, and answers as the send's own text asks.

A text is `KIND_WHAT_HOW.NUMBER`: `once_503` fails the first try and accepts the next, `always_503` fails each; WHAT is a status,
or `cut` for no answer; HOW is `after` for a `Retry-After` or `never` for `x-should-retry: false`. `hang` is not answered at all.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .world import marker

# Seconds of the `Retry-After`: longer than any SDK waits of itself before its first retry.
AFTER = 4.0
# For how long a try that hangs may do so; many times what an SDK does.
PATIENCE = 60.0


@dataclass
class Try:
    fields: list[tuple[str, str]]
    at: float
    left: float | None = None
    """When its client was gone."""


@dataclass
class Recorder:
    """Listens on a free port until it is stopped."""

    folder: Path | None = None
    """Where `cert.pem` and `key.pem` lie, for TLS."""
    tries: dict[str, list[Try]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        if self.folder:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if self.folder else "http"
        self.base = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def gaps(self, kind: str) -> list[list[float]]:
        """The seconds between the tries of each send of a kind."""
        sends = [tries for text, tries in self.tries.items() if text.split(".")[0] == kind]
        return [[after.at - before.at for before, after in zip(tries, tries[1:])] for tries in sends]


def handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            text = marker(body.decode())
            tries = recorder.tries[text]
            tries.append(Try(list(self.headers.items()), time.monotonic()))
            kind, what, how = (*text.split(".")[0].split("_"), "", "")[:3]
            if kind == "hang":
                self.wait_for_the_end(tries[-1])
            elif kind == "once" and len(tries) > 1:
                self.answer(202, "")
            elif what == "cut":
                self.close_connection = True
            else:
                self.answer(int(what), how)

        def wait_for_the_end(self, this: Try) -> None:
            self.connection.settimeout(PATIENCE)
            self.close_connection = True
            try:
                self.connection.recv(1)
            except TimeoutError:
                return
            except OSError:
                pass
            this.left = time.monotonic()

        def answer(self, status: int, how: str) -> None:
            said = {"requestId": "r-1", "messageId": "r-1"} if status < 300 else {"message": "as asked"}
            body = json.dumps(said).encode()
            fields = {"after": {"Retry-After": str(int(AFTER))}, "never": {"x-should-retry": "false"}}.get(how, {})
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **fields}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler
