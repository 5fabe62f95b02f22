"""Python's HTTP/2 clients: POSTs that are refused early, each followed by a GET."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable


def client_of(name: str, ca: str) -> Callable[..., Any]:
    if name == "httpx":
        import ssl

        import httpx

        return httpx.Client(http2=True, verify=ssl.create_default_context(cafile=ca), timeout=20).request
    import niquests

    session = niquests.Session()
    # Not a setting of the session: variables of the environment would stand above it.
    return lambda method, url, content=None, headers=None: session.request(
        method, url, data=content, headers=headers, timeout=20, verify=ca
    )


def version_of(answer: Any) -> str:
    version = getattr(answer, "http_version")
    return "2" if version in ("HTTP/2", 20) else str(version)


def main() -> None:
    name, base, ca, key, file = sys.argv[1:]
    ask = client_of(name, ca)
    good = {"x-api-key": key}
    ask("GET", f"{base}/brands", headers=good)
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        path, with_key, size = line.split(" ")
        heard: dict[str, Any]
        try:
            fields = {"x-api-key": with_key, "content-type": "application/json"}
            answer = ask("POST", base + path, content=b"x" * int(size), headers=fields)
            heard = {
                "status": answer.status_code,
                "code": answer.json()["code"],
                "retry_after": answer.headers.get("retry-after", ""),
                "version": version_of(answer),
            }
        except Exception as error:  # whatever the client has in place of an answer
            heard = {"error": repr(error)}
        try:
            heard["next"] = ask("GET", f"{base}/brands", headers=good).status_code
        except Exception as error:
            heard["next"] = 0
            print(repr(error), file=sys.stderr)
        print(json.dumps(heard), flush=True)


main()
