"""Does what it is told with the PyPI release that is on the path, and prints a line of JSON for each act.

    python.py MAJOR ACT…

An act is `send:TEXT`, `once:TEXT` (a send without the SDK's own retries), `until:TEXT` (what an application does that sends
again until it is accepted), `read` (the message that was sent last) or `together:TEXT,TEXT,…` (sends, eight at a time, with the
SDK's own retries, which major 6 has where it is told to).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

MAJOR = int(sys.argv[1])

# How often an application sends again.
TRIES = 10
# How many sends are under way at a time, and how often major 6 tries again: as often as later ones do unasked.
TOGETHER = 8
RETRIES = 2


def message(text: str) -> dict[str, Any]:
    return {"to": {"user_id": "u-1", "email": "a@example.com"}, "content": {"title": "t", "body": text}}


def by_hand() -> tuple[Any, Any]:
    """Majors 1 to 5."""
    from trycourier import Courier

    client = Courier()
    if hasattr(client, "send_message"):
        return lambda text, *_: client.send_message(message=message(text)), client.get_message
    # Before 4: the older form of a send only.
    profile = {"email": "a@example.com"}
    return lambda text, *_: client.send("welcome", "u-1", data={"text": text}, profile=profile), client.get_message


def by_fern() -> tuple[Any, Any]:
    """Major 6."""
    from courier import ContentMessage, ElementalContentSugar, UserRecipient
    from courier.client import Courier

    client = Courier(base_url=os.environ["SUITE_BASE_URL"])

    def send(text: str, once: bool, again: bool = False) -> Any:
        to = UserRecipient(user_id="u-1", email="a@example.com")
        content = ElementalContentSugar(title="t", body=text)
        options = {"max_retries": 0} if once else {"max_retries": RETRIES} if again else None
        return client.send(message=ContentMessage(to=to, content=content), request_options=options)

    return send, client.messages.get


def by_stainless() -> tuple[Any, Any]:
    """From major 7 on."""
    from courier import Courier

    client, impatient = Courier(), Courier(max_retries=0)

    def send(text: str, once: bool, _: bool = False) -> Any:
        return (impatient if once else client).send.message(message=message(text))

    return send, client.messages.retrieve


def told(error: Exception) -> dict[str, Any]:
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    message = str(getattr(error, "message", error))
    text = " ".join(str(part) for part in (error, message, getattr(error, "body", "")))
    return {"class": type(error).__name__, "status": status, "message": message, "text": text}


def plain(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else value.dict(by_alias=True)


def outcome(deed: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": plain(deed())}
    except Exception as error:  # What an application would be shown.
        return {"error": told(error)}


def together(send: Any, texts: list[str]) -> dict[str, Any]:
    with ThreadPoolExecutor(TOGETHER) as pool:
        return dict(zip(texts, pool.map(lambda text: outcome(lambda: send(text, False, True)), texts), strict=True))


def main() -> None:
    send, read = by_hand() if MAJOR < 6 else by_fern() if MAJOR == 6 else by_stainless()
    last = ""
    for act in sys.argv[2:]:
        kind, _, text = act.partition(":")
        if kind == "together":
            print(json.dumps({"act": kind, "value": together(send, text.split(","))}, default=str), flush=True)
            continue
        for tries in range(1, (TRIES if kind == "until" else 1) + 1):
            line = outcome(lambda: read(last) if kind == "read" else send(text, kind == "once"))
            if "value" in line:
                break
        last = line.get("value", {}).get("requestId") or line.get("value", {}).get("messageId") or last
        print(json.dumps({"act": act, "tries": tries, **line}, default=str), flush=True)


main()
