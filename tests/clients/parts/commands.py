"""Clients that are programs already: curl and nghttp, started once a row."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .gateway import Gateway

PATIENCE = 20


def body(scratch: Path, size: int) -> str:
    file = scratch / f"body-{size}"
    if not file.exists():
        file.write_bytes(b"x" * size)
    return str(file)


def told(text: str) -> str:
    """The code of a problem document somewhere in `text`."""
    found = re.search(r'"code":"([a-z-]+)"', text)
    return found[1] if found else ""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    assert shutil.which(command[0]), f"{command[0]} is missing: see README.md"
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE * 3)


def curl(gateway: Gateway, rows: list[tuple[str, str, int]], scratch: Path) -> list[dict[str, Any]]:
    """Both requests in one process, so that the second may take the connection of the first.

    Without TLS there is one only: curl 7.88 fails where it uses a connection by prior knowledge again, before any server.
    """
    heard = []
    for path, key, size in rows:
        answer, head = scratch / "curl-answer", scratch / "curl-head"
        answer.write_bytes(b"")
        head.write_bytes(b"")
        tls = gateway.base.startswith("https")
        version = ["--http2"] if tls else ["--http2-prior-knowledge"]
        common = ["-sS", "--max-time", str(PATIENCE), *version, *(["--cacert", str(gateway.ca)] if tls else [])]
        figures = "%{stderr}%{http_code} %{http_version} %{num_connects}\\n"
        post = ["-H", f"x-api-key: {key}", "--data-binary", f"@{body(scratch, size)}", "-o", str(answer), "-D", str(head)]
        get = ["-H", f"x-api-key: {gateway.key}", "-o", "/dev/null"]
        following = ["--next", *common, "-w", figures, *get, f"{gateway.base}/brands"] if tls else []
        done = run(["curl", *common, "-w", figures, *post, gateway.base + path, *following])
        # On a line of its own each: what curl says of errors stands between them.
        lines = re.findall(r"^(\d{3}) (\S+) (\d+)$", done.stderr, re.M)
        status, spoken, _ = lines[0]
        after = {"next": int(lines[1][0]), "same": lines[1][2] == "0"} if tls else {}
        retry_after = re.search(r"^retry-after: (\S+)", head.read_text("utf-8"), re.M | re.I)
        if said := re.search(r"^curl: .*", done.stderr, re.M):
            heard.append({"error": said[0], **after})
            continue
        heard.append(
            {
                "status": int(status),
                "code": told(answer.read_text("utf-8")),
                "retry_after": retry_after[1] if retry_after else "",
                "version": spoken,
                **after,
            }
        )
    return heard


def nghttp(gateway: Gateway, rows: list[tuple[str, str, int]], scratch: Path) -> list[dict[str, Any]]:
    """It sends the same body to all its addresses: there is no GET behind a POST."""
    heard = []
    for path, key, size in rows:
        command = ["nghttp", "-v", "--no-dep", "-t", f"{PATIENCE}s", "-H", f"x-api-key: {key}", "-H", ":method: POST"]
        done = run([*command, "-d", body(scratch, size), gateway.base + path])
        status = re.search(r"recv \(stream_id=\d+\) :status: (\d+)", done.stdout)
        retry_after = re.search(r"recv \(stream_id=\d+\) retry-after: (\S+)", done.stdout)
        code = told(done.stdout)
        if not status or not code:
            heard.append({"error": (done.stderr or done.stdout)[-300:]})
            continue
        fields = {"status": int(status[1]), "code": code, "retry_after": retry_after[1] if retry_after else ""}
        heard.append({**fields, "version": "2"})
    return heard

