//! What one connection carries: pipelines, `Connection`, `Expect`, `Upgrade`.

use super::case::Want::{Closes, Half, Last, May, No, Sees, Shut};
use super::case::{BAD, Case, GET, POST, fields, post, raw};

const CHUNKED: &str = "5\r\nhello\r\n0\r\n\r\n";

pub(crate) const CASES: &[Case] = &[
    raw(
        "9112 9.3.2: two in a pipeline",
        "GET /profiles/a HTTP/1.1\r\nHost: gateway\r\n{K}\r\nGET /profiles/b HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Sees(&["GET /profiles/a", "GET /profiles/b"]),
    ),
    raw(
        "9112 9.3.2: a body between two",
        "GET /profiles/a HTTP/1.1\r\nHost: gateway\r\n{K}\r\n\
         POST /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}Content-Length: 5\r\n\r\nhello\
         GET /profiles/b HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Sees(&["GET /profiles/a", "POST /profiles/c hello", "GET /profiles/b"]),
    ),
    raw(
        "9112 9.3.2: chunks before another",
        "POST /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
         GET /profiles/b HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Sees(&["POST /profiles/c hello", "GET /profiles/b"]),
    ),
    raw(
        "9112 9.3.2: an empty line between two",
        "POST /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}Content-Length: 5\r\n\r\nhello\r\n\
         GET /profiles/b HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Sees(&["POST /profiles/c hello", "GET /profiles/b"]),
    ),
    raw(
        "9112 9.3.2: a closing one first",
        "GET /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}Connection: close\r\n\r\n\
         GET /profiles/b HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Last(GET),
    ),
    raw(
        "9112 6.3: a request in the body of one",
        "POST /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}Content-Length: 25\r\n\r\nGET /profiles/x HTTP/1.1\r",
        Sees(&["POST /profiles/c GET /profiles/x HTTP/1.1\r"]),
    ),
    raw(
        "9112 11.2: a request behind one that is unclear",
        "POST /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /profiles/x HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Closes("POST /profiles/c ", BAD),
    ),
    raw(
        "9112 9.3: an unread refusal does not shift answers",
        "POST /nothing HTTP/1.1\r\nHost: gateway\r\n{K}Content-Length: 5\r\n\r\nhello",
        No(&[404]),
    ),
    fields("9112 9.6: close", "Connection: close\r\n", Last(GET)),
    fields("9110 7.6.1: close in another spelling", "Connection: CLOSE\r\n", Last(GET)),
    fields("9110 7.6.1: close in a list", "Connection: x-hop, close\r\nx-hop: 1\r\n", Last(GET)),
    fields(
        "9110 7.6.1: close in a second line",
        "Connection: x-hop\r\nConnection: close\r\nx-hop: 1\r\n",
        Last(GET),
    ),
    fields("9110 7.6.1: close between commas", "Connection: ,close,\r\n", Last(GET)),
    fields("9112 9.3: keep-alive", "Connection: keep-alive\r\n", Sees(GET)),
    fields(
        "9110 7.6.1: a named field is taken out",
        "Connection: x-hop\r\nx-hop: 1\r\n",
        Sees(GET),
    ),
    fields("9110 7.6.1: it names a field that is not there", "Connection: x-hop\r\n", Sees(GET)),
    fields("9110 7.6.1: it names Host", "Connection: host\r\n", May(GET[0], BAD)),
    fields("9110 7.6.1: it names the key", "Connection: x-api-key\r\n", May(GET[0], &[400, 401])),
    fields("9110 7.6.1: an empty one", "Connection:\r\n", Sees(GET)),
    fields("9110 7.6.1: a quoted close is no token", "Connection: \"close\"\r\n", May(GET[0], BAD)),
    post(
        "9110 7.6.1: it names the length",
        "Connection: content-length\r\nContent-Length: 5\r\n",
        "hello",
        May(POST[0], BAD),
    ),
    post(
        "9110 7.6.1: it names the coding",
        "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
        CHUNKED,
        May(POST[0], BAD),
    ),
    fields(
        "9110 7.6.1: fields of the connection",
        "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n",
        Sees(GET),
    ),
    fields("9110 10.1.4: TE", "TE: trailers\r\nConnection: TE\r\n", Sees(GET)),
    fields(
        "9110 10.1.4: TE with a coding",
        "TE: gzip;q=0.5, trailers\r\nConnection: TE\r\n",
        Sees(GET),
    ),
    fields(
        "9110 7.8: an upgrade to h2c",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
        Sees(GET),
    ),
    fields(
        "9110 7.8: an upgrade to WebSocket",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n",
        Sees(GET),
    ),
    fields(
        "9110 7.8: an upgrade to what nobody knows",
        "Upgrade: x/1\r\nConnection: Upgrade\r\n",
        Sees(GET),
    ),
    fields("9110 7.6.2: Max-Forwards means nothing to GET", "Max-Forwards: 0\r\n", Sees(GET)),
    fields("9110 7.6.3: another gateway's Via", "Via: 1.1 other\r\n", Sees(GET)),
    fields("9110 6.6.2: Trailer without one", "Trailer: X\r\n", Sees(GET)),
    fields("9110 14.2: a range that is none", "Range: bytes=x\r\n", Sees(GET)),
    post(
        "9110 10.1.1: Expect, the body sent with it",
        "Expect: 100-continue\r\nContent-Length: 5\r\n",
        "hello",
        Sees(POST),
    ),
    post(
        "9110 10.1.1: Expect in another spelling",
        "Expect: 100-Continue\r\nContent-Length: 5\r\n",
        "hello",
        Sees(POST),
    ),
    post(
        "9110 10.1.1: Expect before chunks",
        "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
        CHUNKED,
        Sees(POST),
    ),
    post(
        "9110 10.1.1: Expect without a body",
        "Expect: 100-continue\r\n",
        "",
        Sees(&["POST /profiles/c "]),
    ),
    post(
        "9110 10.1.1: an expectation that nobody knows",
        "Expect: tea\r\nContent-Length: 5\r\n",
        "hello",
        May(POST[0], &[400, 417]),
    ),
    post(
        "9110 10.1.1: Expect and a body that never comes",
        "Expect: 100-continue\r\nContent-Length: 5\r\n",
        "",
        Half(&[400, 408]),
    ),
    raw(
        "9110 10.1.1: Expect and a wrong key",
        "POST /profiles/c HTTP/1.1\r\nHost: gateway\r\nx-api-key: tg_x_y\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        No(&[401]),
    ),
    raw(
        "9110 10.1.1: no 100 to HTTP/1.0",
        "POST /profiles/c HTTP/1.0\r\nHost: gateway\r\n{K}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        Last(POST),
    ),
    raw(
        "9113 3.4: the preface of HTTP/2, then text",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Half(&[0]),
    ),
    raw(
        "9113 3.4: half the preface, then text",
        "PRI * HTTP/2.0\r\n\r\nGET /profiles/c HTTP/1.1\r\nHost: gateway\r\n{K}\r\n",
        Half(&[400, 505]),
    ),
    raw(
        "9113 3.4: another method's preface",
        "PRJ * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Shut(&[400, 505]),
    ),
];
