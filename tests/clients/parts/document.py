"""`docs/clients-http2.md`, made from what a run has seen."""

from __future__ import annotations

import re
from pathlib import Path

FILE = Path(__file__).resolve().parents[3] / "docs" / "clients-http2.md"

HEAD = """\
# Clients over HTTP/2: a refusal in the middle of an upload

The gateway refuses most calls before it has read their body: 401, 404, a 413 by the announced length, a 429. Over HTTP/2 many
clients receive an answer only if their stream is not reset while they are still sending. So the gateway sends the answer, reads
the rest of the upload and throws it away, up to 64 MiB and 10 s. The connection goes on.

`tests/clients` tries it with these clients, over TLS unless the table says otherwise, and makes this table. A client has
received a refusal if it got status, code and, for a 429, `Retry-After`. Bodies are 64 KiB, 1 MiB and 6 MiB, five times each; the
413 has one byte more than 6 MiB. *Next* counts calls after a refusal that were answered on the same connection.

| client | version | 401 | 404 | 413 | 429 | next |
| --- | --- | --- | --- | --- | --- | --- |
"""

TAIL = """\

- **got** receives no refusal of an upload that does not fit into the first window of 64 KiB. Its `http2-wrapper` destroys the
  stream as soon as the answer is whole. If the upload is not over, it calls that "aborted", although the answer was complete.
  Without `http2: true`, which is off by default, it receives all of them.
- **curl** without TLS, 7.88: no second request on a connection by prior knowledge was tried. It fails by itself there ("Error in
  the HTTP2 framing layer"), before Node's server as well.
- **nghttp** sends one body to all its addresses, so no call follows.
- **undici** and **got** hand an answer over while their upload goes on. Node fails a session that holds more than 10 MB unsent
  (`maxSessionMemory`), with `ENHANCE_YOUR_CALM` from the client's side. To send large bodies close behind each other, use
  several sessions or raise that limit. In this table each refusal has a session of its own.
- **.NET** is not in the table: Debian has no package of it.
- `Expect: 100-continue` is ignored over HTTP/2. A client that waits for `100 Continue` sends when its own waiting time is over.
  It should not ask for it; a refusal comes before the body is read in any case.
- **httpx** (h2 4.3.0) takes a connection for closed when the gateway announces its end (`GOAWAY`). A call that is under way
  then fails in the client, though it is answered. `server.drain_delay` lets load balancers go elsewhere before.
- An upload whose announced length is more than 64 MiB is reset after its refusal.
"""


def text(rows: dict[str, list[str]]) -> str:
    return HEAD + "".join(f"| {' | '.join([name, *cells])} |\n" for name, cells in rows.items()) + TAIL


def without_versions(document: str) -> str:
    """What must stay the same when a client has a new version."""
    return re.sub(r"^(\| [^|]+ \|) [\d.]+ \|", r"\1 |", document, flags=re.M)
