"""Collectors of traces: a real one, one that tells what it was sent, and some that are of no use."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from suite.programs import Program

from .gateway import PATIENCE, read_to_the_end, wait_until

SERVER, INTERNAL, CLIENT = 2, 1, 3


@dataclass(frozen=True)
class Span:
    """A span as it was received."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    error: bool
    attributes: dict[str, Any]
    links: list[tuple[str, str]]

    @staticmethod
    def of(line: dict[str, Any]) -> Span:
        return Span(
            trace=line["traceId"],
            id=line["spanId"],
            parent=line["parentSpanId"],
            name=line["name"],
            kind=line["kind"],
            start=int(line["startTimeUnixNano"]),
            end=int(line["endTimeUnixNano"]),
            error=line["status"]["code"] == 2,
            attributes={row["key"]: next(iter(row["value"].values())) for row in line["attributes"]},
            links=[(link["traceId"], link["spanId"]) for link in line["links"]],
        )


class OtelTap:
    """The program `oteltap`, which prints each span that it receives."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        # Whoever runs the suite in the background may have turned SIGINT off, which it ends by.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "oteltap", "--port", str(self.port)]
        self.program = Program(command, {"PYTHONUNBUFFERED": "1"})
        wait_until(lambda: is_open(self.port), self.program.tail)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[Span]:
        """What was received until now, when it is told to end."""
        self.stop()
        read_to_the_end(self.program)
        return [Span.of(json.loads(line)) for line in self.program.lines if line.startswith("{")]

    def stop(self) -> None:
        self.program.process.send_signal(signal.SIGINT)
        self.program.process.wait(PATIENCE)


@dataclass
class Sink:
    """A collector that keeps requests as they came, and answers as told: after `delay` seconds, and taking all spans but
    `refused` of each request."""

    delay: float = 0.0
    refused: int = 0
    requests: list[tuple[dict[str, str], ExportTraceServiceRequest]] = field(default_factory=list)

    def __enter__(self) -> Sink:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fields = {name.lower(): value for name, value in self.headers.items()} | {":path": self.path}
                sink.requests.append((fields, ExportTraceServiceRequest.FromString(body)))
                sink.leaving.wait(sink.delay)
                answer = ExportTraceServiceResponse()
                answer.partial_success.rejected_spans = sink.refused
                text = answer.SerializeToString()
                try:
                    self.send_response(200)
                    self.send_header("content-type", "application/x-protobuf")
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except ConnectionError:
                    self.close_connection = True  # who asked gave up, as slow collectors must expect

            def log_message(self, *_: Any) -> None:
                pass

        self.leaving = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.leaving.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def spans(self) -> int:
        return sum(len(scope.spans) for _, sent in self.requests for r in sent.resource_spans for scope in r.scope_spans)


class BlackHole:
    """Accepts, reads nothing and never answers."""

    def __enter__(self) -> BlackHole:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        return self

    def __exit__(self, *_: Any) -> None:
        self.listener.close()


class Nobody:
    """A port that nobody listens on."""

    def __enter__(self) -> Nobody:
        self.endpoint = f"http://127.0.0.1:{free_port()}"
        return self

    def __exit__(self, *_: Any) -> None:
        pass


def free_port() -> int:
    """A port that was free just now: `oteltap` can't tell which one it took."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0
