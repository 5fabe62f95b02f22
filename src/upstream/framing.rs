//! What a vendor's head says of its body's end, checked and taken out. Pure.
//!
//! The gateway frames what it writes by what it holds. What the vendor wrote of lengths and
//! transfer codings (RFC 9110 section 8.6, RFC 9112 section 6) is believed only where there is one
//! reading of it: a vendor and a client that disagree about where an answer ends put a part of one
//! answer into another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, StatusCode};

use crate::call::Result;
use crate::error::{Code, Error, Evidence, Outcome};

/// Takes `Content-Length` and `Transfer-Encoding` out of an answer's head; the checked length goes
/// back into the answer to a HEAD, which has no body to tell it by.
///
/// # Errors
///
/// [`Code::VendorMalformed`], when the head can be read in two ways, or in none.
pub(super) fn check(method: &Method, status: StatusCode, headers: &mut HeaderMap) -> Result<()> {
    let length = length(headers)?;
    let coded = is_chunked(headers)?;
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    if coded && length.is_some() {
        return Err(malformed("Courier's answer has a length and a transfer coding"));
    }
    match status {
        // Many honest servers say of a 204 that its length is 0.
        StatusCode::NO_CONTENT if coded || length.is_some_and(|length| length > 0) => {
            return Err(malformed("Courier's 204 speaks of a body"));
        }
        // The length of what a 304 stands for is nobody's to write again.
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {}
        _ if method == Method::HEAD => {
            headers.extend(length.map(|length| (CONTENT_LENGTH, HeaderValue::from(length))));
        }
        _ => {}
    }
    Ok(())
}

/// True when `status`, or `method`, says that an answer has no body.
pub(super) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    let never = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    never || method == Method::HEAD
}

/// The one length that all values give.
fn length(headers: &HeaderMap) -> Result<Option<u64>> {
    let mut known = None;
    let values = headers.get_all(CONTENT_LENGTH).iter();
    for text in values.flat_map(|value| value.as_bytes().split(|&octet| octet == b',')) {
        let length = number(trimmed(text));
        match (length, known) {
            (Some(length), Some(known)) if length != known => {
                return Err(malformed("Courier's answer has two lengths"));
            }
            (Some(length), _) => known = Some(length),
            (None, _) => return Err(malformed("the length of Courier's answer is no number")),
        }
    }
    Ok(known)
}

/// `1*DIGIT`, and nothing that Rust would take beside it.
fn number(digits: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(digits).ok()?;
    digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Without the blanks that a list may have around its members.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// True for `chunked`, the one coding that hyper undoes; there may be none.
fn is_chunked(headers: &HeaderMap) -> Result<bool> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(malformed("Courier's answer has a transfer coding that nobody can undo")),
    }
}

fn malformed(detail: &'static str) -> Error {
    Error::refused(Code::VendorMalformed, detail)
        .with_outcome(Outcome::Unknown)
        .with_evidence(Evidence::Alive)
}

/// What came of interim answers (1xx), which hyper reads by itself: they have no body.
#[derive(Clone, Default)]
pub(super) struct Interim {
    with_body: Arc<AtomicBool>,
}

impl Interim {
    /// Looks at the interim answers to `request`.
    pub(super) fn watch<B>(&self, request: &mut Request<B>) {
        let with_body = self.with_body.clone();
        hyper::ext::on_informational(request, move |interim| {
            if speaks_of_a_body(interim.headers()) {
                with_body.store(true, Ordering::Relaxed);
            }
        });
    }

    /// # Errors
    ///
    /// [`Code::VendorMalformed`], when one of them spoke of a body: what followed may be a part of
    /// it.
    pub(super) fn check(&self) -> Result<()> {
        if self.with_body.load(Ordering::Relaxed) {
            return Err(malformed("Courier's interim answer speaks of a body"));
        }
        Ok(())
    }
}

fn speaks_of_a_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || !matches!(length(headers), Ok(None | Some(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn head(fields: &[(HeaderName, &[u8])]) -> HeaderMap {
        let value = |value: &[u8]| HeaderValue::from_bytes(value).unwrap();
        fields.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    /// What becomes of lengths: the one that stays, nothing, or a refusal.
    fn lengths(method: &Method, status: u16, values: &[&[u8]]) -> std::result::Result<String, ()> {
        let fields: Vec<_> = values.iter().map(|value| (CONTENT_LENGTH, *value)).collect();
        let mut headers = head(&fields);
        let status = StatusCode::from_u16(status).unwrap();
        check(method, status, &mut headers).map_err(|_| ())?;
        let left = headers.get(CONTENT_LENGTH).map(|left| left.to_str().unwrap().to_owned());
        Ok(left.unwrap_or_default())
    }

    #[test]
    fn a_length_is_told_for_head_alone_and_once() {
        for values in [&[&b"11"[..]][..], &[b"11", b"11"], &[b"11, 11"], &[b"11 ,\t11", b"0011"]] {
            assert_eq!(lengths(&Method::HEAD, 200, values), Ok("11".into()), "{values:?}");
            assert_eq!(lengths(&Method::GET, 200, values), Ok(String::new()), "{values:?}");
            assert_eq!(lengths(&Method::GET, 304, values), Ok(String::new()), "{values:?}");
            assert_eq!(lengths(&Method::HEAD, 304, values), Ok(String::new()), "{values:?}");
            assert_eq!(lengths(&Method::GET, 204, values), Err(()), "{values:?}");
        }
        assert_eq!(lengths(&Method::DELETE, 204, &[b"0"]), Ok(String::new()));
        assert_eq!(lengths(&Method::HEAD, 200, &[]), Ok(String::new()));
    }

    #[test]
    fn a_length_that_is_none_is_refused_with_every_status_and_method() {
        let bad: [&[&[u8]]; 18] = [
            &[b""],
            &[b","],
            &[b"11,"],
            &[b",11"],
            &[b"11, 12"],
            &[b"11", b"12"],
            &[b"+11"],
            &[b"-11"],
            &[b"1 1"],
            &[b"0x11"],
            &[b"11.0"],
            &[b"1e1"],
            &[b"1_1"],
            &[b"11;a=b"],
            &[b"\"11\""],
            &[b"\xd9\xa1"],
            &[b"18446744073709551616"],
            &[b"many"],
        ];
        for values in bad {
            for (method, status) in
                [(Method::GET, 200), (Method::HEAD, 200), (Method::GET, 304), (Method::PUT, 204)]
            {
                assert_eq!(
                    lengths(&method, status, values),
                    Err(()),
                    "{method} {status} {values:?}"
                );
            }
        }
    }

    #[test]
    fn one_final_chunked_is_the_only_transfer_coding() {
        let coded = |values: &[&[u8]], length: bool, status: u16| {
            let mut fields: Vec<_> =
                values.iter().map(|value| (TRANSFER_ENCODING, *value)).collect();
            fields.extend(length.then_some((CONTENT_LENGTH, &b"5"[..])));
            let mut headers = head(&fields);
            let status = StatusCode::from_u16(status).unwrap();
            check(&Method::GET, status, &mut headers).map(|()| assert!(headers.is_empty())).is_ok()
        };
        for good in [&b"chunked"[..], b"Chunked", b"CHUNKED"] {
            assert!(coded(&[good], false, 200));
            assert!(coded(&[good], false, 304), "it is the whole answer's");
            assert!(!coded(&[good], false, 204) && !coded(&[good], true, 200));
        }
        let bad: [&[&[u8]]; 12] = [
            &[b""],
            &[b"xchunked"],
            &[b"identity"],
            &[b"gzip"],
            &[b"gzip, chunked"],
            &[b"chunked, gzip"],
            &[b"chunked, chunked"],
            &[b"chunked", b"chunked"],
            &[b"chunked;q=1"],
            &[b"chunked", b"identity"],
            &[b"chunked,"],
            &[b"chunked\xff"],
        ];
        for values in bad {
            assert!(!coded(values, false, 200), "{values:?}");
        }
    }

    #[test]
    fn an_interim_answer_has_no_body() {
        let speaks = |fields: &[(HeaderName, &[u8])]| speaks_of_a_body(&head(fields));
        assert!(!speaks(&[]) && !speaks(&[(CONTENT_LENGTH, b"0")]));
        assert!(speaks(&[(CONTENT_LENGTH, b"1")]) && speaks(&[(CONTENT_LENGTH, b"x")]));
        assert!(speaks(&[(TRANSFER_ENCODING, b"chunked")]));
    }
}
