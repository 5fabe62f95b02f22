//! Answers that break HTTP/1.1 (RFC 9112), byte by byte.

use crate::fault::{Conflict, Malformed};

const BODY: &str = "{\"results\":[]}";

/// A whole answer whose head breaks the grammar.
pub(crate) fn head(form: Malformed) -> Vec<u8> {
    let tail =
        format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len());
    let text = match form {
        Malformed::Garbage => "\u{1}\u{2}this is no answer\r\n\r\n".to_owned(),
        Malformed::Version => format!("HTTP/9.9 200 OK\r\n{tail}"),
        Malformed::Status => format!("HTTP/1.1 2x0 OK\r\n{tail}"),
        Malformed::NoColon => format!("HTTP/1.1 200 OK\r\nno colon here\r\n{tail}"),
        Malformed::Nul => format!("HTTP/1.1 200 OK\r\nx-nul: a\0b\r\n{tail}"),
        Malformed::SpaceInName => format!("HTTP/1.1 200 OK\r\nx name: a\r\n{tail}"),
        Malformed::Folded => format!("HTTP/1.1 200 OK\r\nx-folded: a\r\n b\r\n{tail}"),
        Malformed::Huge => {
            format!("HTTP/1.1 200 OK\r\nx-huge: {}\r\n{tail}", "h".repeat(1024 * 1024))
        }
    };
    text.into_bytes()
}

/// A whole answer whose framing contradicts itself.
pub(crate) fn framing(form: Conflict) -> Vec<u8> {
    let n = BODY.len();
    let chunk = format!("{n:x}\r\n{BODY}\r\n");
    let (fields, body) = match form {
        Conflict::TwoLengths => {
            (format!("content-length: {n}\r\ncontent-length: {}\r\n", n + 5), BODY.to_owned())
        }
        Conflict::LengthAndChunks => (
            format!("content-length: {n}\r\ntransfer-encoding: chunked\r\n"),
            format!("{chunk}0\r\n\r\n"),
        ),
        Conflict::BadLength => ("content-length: many\r\n".to_owned(), BODY.to_owned()),
        Conflict::BadChunk => {
            ("transfer-encoding: chunked\r\n".to_owned(), format!("xyz\r\n{BODY}\r\n0\r\n\r\n"))
        }
        Conflict::Unfinished => ("transfer-encoding: chunked\r\n".to_owned(), chunk),
        Conflict::Trailing => (
            format!("content-length: {n}\r\n"),
            format!("{BODY}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}"),
        ),
    };
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{fields}\r\n{body}").into_bytes()
}
