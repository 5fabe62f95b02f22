//! Reads an HTTP/1.1 head (RFC 9112), keeping every byte of it.

use bytes::{Bytes, BytesMut};

use crate::request::{Protocol, Request};

/// The longest head, 64 KiB. No gateway should forward a longer one.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// How the body that follows is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// This many bytes.
    Exact(u64),
    /// In chunks.
    Chunked,
}

/// Takes a whole head from the buffer, if there is one. Skips empty lines before it.
pub(super) fn take(buffer: &mut BytesMut) -> Option<Bytes> {
    while buffer.starts_with(b"\r\n") {
        drop(buffer.split_to(2));
    }
    let end = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    Some(buffer.split_to(end).freeze())
}

/// Parses a head. The error names the rule that it breaks.
pub(super) fn parse(raw: &Bytes, socket: u64) -> Result<Request, &'static str> {
    let text = latin1(&raw[..raw.len() - 4]);
    let mut lines = text.split("\r\n");
    let mut parts = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("the request line has not three parts");
    };
    let protocol = match version {
        "HTTP/1.1" => Protocol::Http11,
        "HTTP/1.0" => Protocol::Http10,
        _ => return Err("the version is not 1.0 or 1.1"),
    };
    if !is_token(method) || target.is_empty() {
        return Err("the method or target is empty or has bad characters");
    }
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a field has no colon")?;
        if !is_token(name) || value.bytes().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            return Err("a field has bad characters");
        }
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Request {
        method,
        target,
        headers,
        raw_head: raw.clone(),
        protocol,
        socket,
        ..Request::default()
    })
}

/// How the body is delimited. The error names the contradiction.
pub(super) fn length(request: &Request) -> Result<Length, &'static str> {
    let values = |name: &'static str| {
        request
            .headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    };
    let mut length = None;
    for value in values("content-length") {
        let n = value
            .parse::<u64>()
            .ok()
            .filter(|_| value.bytes().all(|b| b.is_ascii_digit()))
            .ok_or("Content-Length is no number")?;
        if length.is_some_and(|l| l != n) {
            return Err("two different Content-Length");
        }
        length = Some(n);
    }
    let codings: Vec<&str> = values("transfer-encoding").collect();
    match (codings.as_slice(), length) {
        ([], length) => Ok(Length::Exact(length.unwrap_or(0))),
        (_, Some(_)) => Err("both Content-Length and Transfer-Encoding"),
        ([one], None) if one.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
        _ => Err("Transfer-Encoding is not chunked alone"),
    }
}

/// One character per byte.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Request, &'static str> {
        let mut buffer = BytesMut::from(text);
        parse(&take(&mut buffer).expect("whole"), 1)
    }

    #[test]
    fn the_head_is_kept_byte_for_byte() {
        let text = "GET /lists/a%2Fb?x=1 HTTP/1.1\r\nHOST: h\r\nX-Two:  \u{e9} \r\n\r\n";
        let r = parsed(text).unwrap();
        assert_eq!(r.raw_head, text.as_bytes());
        assert_eq!(
            (r.target.as_str(), r.headers[0].0.as_str(), r.headers[1].1.chars().count()),
            ("/lists/a%2Fb?x=1", "HOST", 2)
        );
    }

    #[test]
    fn heads_that_break_the_grammar_are_refused() {
        for text in [
            "GET /\r\n\r\n",
            "GET / HTTP/3\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
            "GET / HTTP/1.1\r\nabc\r\n\r\n",
            "G(T / HTTP/1.1\r\n\r\n",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_with_two_framings_or_an_unknown_one_is_refused() {
        let of = |fields: &str| {
            length(&parsed(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n")).unwrap())
        };
        assert_eq!(of("content-length: 5"), Ok(Length::Exact(5)));
        assert_eq!(of("Transfer-Encoding: Chunked"), Ok(Length::Chunked));
        for fields in [
            "content-length: 5\r\ncontent-length: 6",
            "content-length: +5",
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip",
        ] {
            assert!(of(fields).is_err(), "{fields}");
        }
    }
}
