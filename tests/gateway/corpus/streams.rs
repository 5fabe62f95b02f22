//! Messages over HTTP/2: pseudo-fields, fields, lengths and trailers, by RFC 9113 section 8.

use super::case::GET;
use super::wire::Want::{May, No, Sees};
use super::wire::{Case, DATA, END, END_HEADERS, HEADERS, Want, Who, block, frame};

const POST: &[&str] = &["POST /profiles/c hello"];
const EMPTY: &[&str] = &["POST /profiles/c "];

/// Heads that end their streams.
const HEADS: &[(&str, &str, Want)] = &[
    ("9113 8.3.1: a request", "M|S|A|P|K", Sees(GET)),
    ("9113 8.3: another order of pseudo-fields", "P|A|S|M|K", Sees(GET)),
    ("9113 8.3: a pseudo-field behind a field", "M|S|A|K|P", No),
    ("9113 8.3: a method behind a field", "S|A|P|K|M", No),
    ("9113 8.3: an authority behind a field", "M|S|P|K|A", No),
    ("9113 8.3: all behind a field", "K|M|S|A|P", No),
    ("9113 8.3: two methods", "M|M|S|A|P|K", No),
    ("9113 8.3: two schemes", "M|S|S|A|P|K", No),
    ("9113 8.3: two authorities", "M|S|A|A|P|K", No),
    ("9113 8.3: two paths", "M|S|A|P|P|K", No),
    ("9113 8.3.1: no method", "S|A|P|K", No),
    ("9113 8.3.1: no scheme", "M|A|P|K", No),
    ("9113 8.3.1: no path", "M|S|A|K", No),
    ("9113 8.3.1: no authority and no Host", "M|S|P|K", No),
    ("9113 8.3.1: Host in place of the authority", "M|S|P|K|host=gateway", Sees(GET)),
    ("9113 8.3.1: Host beside the same authority", "M|S|A|P|K|host=gateway", Sees(GET)),
    ("9110 4.2.3: Host in another spelling", "M|S|A|P|K|host=GATEWAY", Sees(GET)),
    ("9113 8.3.1: Host beside another authority", "M|S|A|P|K|host=other", No),
    ("9113 8.3.1: two Hosts", "M|S|P|K|host=gateway|host=gateway", No),
    ("9113 8.3.1: an empty authority", "M|S|:authority=|P|K", May(GET)),
    ("9113 8.3.1: a user in the authority", "M|S|:authority=user@gateway|P|K", No),
    ("9113 8.3.1: a user and a password", "M|S|:authority=a:b@gateway|P|K", No),
    ("9113 8.3.1: an empty user", "M|S|:authority=@gateway|P|K", No),
    ("9113 8.3.1: a user in the Host", "M|S|P|K|host=user@gateway", No),
    ("9113 8.3.1: a space in the authority", "M|S|:authority=gate way|P|K", No),
    ("9113 8.3.1: a path in the authority", "M|S|:authority=gateway/x|P|K", No),
    ("9113 8.3: a pseudo-field of answers", "M|S|A|P|:status=200|K", No),
    ("9113 8.3: a pseudo-field that nobody knows", "M|S|A|P|:x=y|K", No),
    ("8441 4: a protocol that was not offered", "M|S|A|P|:protocol=websocket|K", No),
    ("9113 8.3.1: an empty path", "M|S|A|:path=|K", No),
    ("9113 8.3.1: a path without its slash", "M|S|A|:path=profiles/c|K", No),
    ("9113 8.3.1: a URL for a path", "M|S|A|:path=http://gateway/profiles/c|K", No),
    ("9113 8.3.1: an asterisk for GET", "M|S|A|:path=*|K", No),
    ("9113 8.3.1: an asterisk for OPTIONS", ":method=OPTIONS|S|A|:path=*|K", No),
    ("9113 8.3.1: a space in the path", "M|S|A|:path=/profiles/c d|K", No),
    ("9113 8.3.1: a NUL in the path", "M|S|A|:path=/profiles/c\0|K", No),
    ("9113 8.3.1: a line end in the path", "M|S|A|:path=/profiles/c HTTP/1.1\r\nx: y|K", No),
    // h2 0.4 takes the fragment off before anybody sees it: known. None is ever sent on.
    ("9113 8.3.1: a fragment in the path", "M|S|A|:path=/profiles/c#f|K", May(GET)),
    (
        "9113 8.3.1: a fragment behind a query",
        "M|S|A|:path=/profiles/c?a=b#f|K",
        May(&["GET /profiles/c?a=b"]),
    ),
    ("9113 8.3.1: a fragment for a path", "M|S|A|:path=#f|K", No),
    ("9113 8.3.1: a query for a path", "M|S|A|:path=?a=b|K", No),
    ("9113 8.3.1: a query", "M|S|A|:path=/profiles/c?a=b|K", Sees(&["GET /profiles/c?a=b"])),
    ("3986 3.3: a dot segment over HTTP/2", "M|S|A|:path=/x/../profiles/c|K", No),
    ("9113 8.3.1: an empty scheme", "M|:scheme=|A|P|K", No),
    ("9113 8.3.1: https", "M|:scheme=https|A|P|K", May(GET)),
    ("9113 8.3.1: another scheme", "M|:scheme=ftp|A|P|K", No),
    ("9113 8.3.1: a scheme that is none", "M|:scheme=1!|A|P|K", No),
    ("9113 8.3.1: an empty method", ":method=|S|A|P|K", No),
    ("9113 8.3.1: a space in the method", ":method=GET /x|S|A|P|K", No),
    ("9113 8.3.1: a method that nobody serves", ":method=BREW|S|A|P|K", No),
    ("9113 8.5: CONNECT with a path", ":method=CONNECT|S|A|P|K", No),
    ("9113 8.5: CONNECT", ":method=CONNECT|:authority=gateway:443|K", No),
    ("9113 8.2.1: a name in capitals", "M|S|A|P|K|X-Y=z", No),
    ("9113 8.2.1: a key's name in capitals", "M|S|A|P|X-Api-Key=x|K", No),
    ("9113 8.3: a pseudo-field in capitals", "M|S|A|:Path=/profiles/c|K", No),
    ("9113 8.2.1: an empty name", "M|S|A|P|K|=z", No),
    ("9113 8.2.1: a space in the name", "M|S|A|P|K|x y=z", No),
    ("9113 8.2.1: a colon in the name", "M|S|A|P|K|x:y=z", No),
    ("9113 8.2.1: a NUL in the name", "M|S|A|P|K|x\0y=z", No),
    ("9113 8.2.1: a DEL in the name", "M|S|A|P|K|x\x7fy=z", No),
    ("9113 8.2.1: a line end in the name", "M|S|A|P|K|x\r\ny=z", No),
    ("9113 8.2.1: a NUL in the value", "M|S|A|P|K|x=a\0b", No),
    ("9113 8.2.1: a CR in the value", "M|S|A|P|K|x=a\rb", No),
    ("9113 8.2.1: an LF in the value", "M|S|A|P|K|x=a\nb", No),
    ("9113 8.2.1: a field hidden in a value", "M|S|A|P|K|x=a\r\ntransfer-encoding: chunked", No),
    ("9113 8.2.1: a tab inside the value", "M|S|A|P|K|x=a\tb", Sees(GET)),
    ("9113 8.2.1: an empty value", "M|S|A|P|K|x=", Sees(GET)),
    ("9113 8.2.2: connection", "M|S|A|P|K|connection=close", No),
    ("9113 8.2.2: connection that names a field", "M|S|A|P|K|x=y|connection=x", No),
    ("9113 8.2.2: an empty connection", "M|S|A|P|K|connection=", No),
    ("9113 8.2.2: transfer-encoding of nothing", "M|S|A|P|K|transfer-encoding=identity", No),
    ("9113 8.2.2: keep-alive", "M|S|A|P|K|keep-alive=timeout\x3d5", No),
    ("9113 8.2.2: proxy-connection", "M|S|A|P|K|proxy-connection=close", No),
    ("9113 8.2.2: transfer-encoding", "M|S|A|P|K|transfer-encoding=chunked", No),
    ("9113 8.2.2: upgrade", "M|S|A|P|K|upgrade=h2c", No),
    ("9113 8.2.2: te with trailers", "M|S|A|P|K|te=trailers", Sees(GET)),
    ("9113 8.2.2: te with a coding", "M|S|A|P|K|te=gzip", No),
    ("9113 8.2.2: te with trailers and a coding", "M|S|A|P|K|te=trailers, gzip", No),
    ("9113 8.2.3: a cookie in pieces", "M|S|A|P|K|cookie=a|cookie=b", Sees(GET)),
    ("9110 11.6.2: no key over HTTP/2", "M|S|A|P", No),
    ("9113 8.1.1: a length and no body", ":method=POST|S|A|P|K|content-length=5", No),
    ("9113 8.1.1: a length of nothing", ":method=POST|S|A|P|K|content-length=0", Sees(EMPTY)),
    ("9110 8.6: no length over HTTP/2", ":method=POST|S|A|P|K", Sees(EMPTY)),
];

/// POSTs: further fields, the body, trailers.
const BODIES: &[(&str, &str, &str, Option<&str>, Want)] = &[
    ("9113 8.1: a body", "", "hello", None, Sees(POST)),
    ("9110 10.1.1: Expect over HTTP/2", "expect=100-continue", "hello", None, Sees(POST)),
    ("9110 10.1.1: another Expect over HTTP/2", "expect=x", "hello", None, May(POST)),
    ("9113 8.1.1: a length that is right", "content-length=5", "hello", None, Sees(POST)),
    ("9113 8.1.1: a length that is too long", "content-length=6", "hello", None, No),
    ("9113 8.1.1: a length that is too short", "content-length=4", "hello", None, No),
    ("9113 8.1.1: a length of nothing, and a body", "content-length=0", "hello", None, No),
    ("9110 8.6: a length with a sign, over HTTP/2", "content-length=+5", "hello", None, No),
    ("9110 8.6: a length of a word, over HTTP/2", "content-length=five", "hello", None, No),
    ("9110 8.6: an empty length, over HTTP/2", "content-length=", "hello", None, No),
    ("9110 8.6: two lengths, over HTTP/2", "content-length=5|content-length=6", "hello", None, No),
    ("9110 8.6: a list of lengths, over HTTP/2", "content-length=5, 6", "hello", None, No),
    ("9110 8.6: a length beyond 2^64", "content-length=18446744073709551621", "hello", None, No),
    ("9113 8.2.2: a coding and a body", "transfer-encoding=chunked", "hello", None, No),
    ("9113 8.1: trailers", "", "hello", Some("x=y"), Sees(POST)),
    (
        "9113 8.1.1: trailers behind a length that is too long",
        "content-length=6",
        "hello",
        Some("x=y"),
        No,
    ),
    // Malformed, but h2 0.4 drops the pseudo-field and takes the rest: known. No trailer is ever sent on.
    ("9113 8.1: trailers with a pseudo-field", "", "hello", Some("P|x=y"), May(POST)),
    ("9113 8.2.1: trailers with a name in capitals", "", "hello", Some("X=y"), No),
    ("9113 8.2.2: trailers with connection", "", "hello", Some("connection=close"), No),
];

pub(crate) fn cases(who: Who) -> Vec<Case> {
    let head = |fields: &str, flags| frame(HEADERS, END_HEADERS | flags, 1, &block(who, fields));
    let mut cases: Vec<Case> = Vec::new();
    for (name, fields, want) in HEADS {
        cases.push(Case { name, octets: head(fields, END), want: *want });
    }
    for (name, fields, body, trailers, want) in BODIES {
        let mut octets = head(&format!(":method=POST|S|A|P|K|{fields}"), 0);
        let last = if trailers.is_none() { END } else { 0 };
        octets.extend(frame(DATA, last, 1, body.as_bytes()));
        octets.extend(trailers.iter().flat_map(|trailers| head(trailers, END)));
        cases.push(Case { name, octets, want: *want });
    }
    cases
}
