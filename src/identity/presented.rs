//! Where a client puts its key.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::headers::API_KEY;

/// The key that `headers` present, if they present one in an accepted form.
#[must_use]
pub fn presented(headers: &HeaderMap) -> Option<Cow<'_, [u8]>> {
    let only = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(Some(value.as_bytes())),
            (None, _) => Ok(None),
            _ => Err(()),
        }
    };
    if let Some(key) = only(API_KEY).ok()? {
        return Some(Cow::Borrowed(behind(key, b"bearer ").unwrap_or(key)));
    }
    let value = only(AUTHORIZATION).ok()??;
    match behind(value, b"basic ") {
        Some(pair) => password(pair).map(Cow::Owned),
        None => Some(Cow::Borrowed(behind(value, b"bearer ").unwrap_or(value))),
    }
}

/// The credentials after the word `scheme`.
fn behind<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (word, rest) = value.split_at_checked(scheme.len())?;
    word.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii_start())
}

/// The password of Basic authentication (RFC 7617), in which Courier's older SDKs send their key.
/// There the user is an account's e-mail; here it is ignored.
fn password(pair: &[u8]) -> Option<Vec<u8>> {
    let pair = STANDARD.decode(pair).ok()?;
    let colon = pair.iter().position(|&octet| octet == b':')?;
    Some(pair[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn find(fields: &[(&'static str, &'static str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        presented(&headers).map(|key| String::from_utf8_lossy(&key).into_owned())
    }

    #[test]
    fn a_key_comes_in_one_of_five_forms() {
        for fields in [
            &[("x-api-key", "tg_a_b")][..],
            &[("x-api-key", "tg_a_b"), ("authorization", "Bearer other")],
            &[("authorization", "Bearer tg_a_b")],
            &[("authorization", "bearer  tg_a_b")],
            &[("authorization", "tg_a_b")],
            &[("x-api-key", "Bearer tg_a_b")],
            &[("authorization", "Basic YUBiLmM6dGdfYV9i")],
            &[("authorization", "basic OnRnX2FfYg==")],
        ] {
            assert_eq!(find(fields).as_deref(), Some("tg_a_b"), "{fields:?}");
        }
    }

    #[test]
    fn none_and_several_are_no_key() {
        for fields in [
            &[][..],
            &[("x-api-key", "tg_a_b"), ("x-api-key", "tg_a_b")],
            &[("authorization", "tg_a_b"), ("authorization", "tg_a_b")],
            &[("cookie", "tg_a_b")],
            // Not base64, and a user without a password.
            &[("authorization", "Basic tg_a_b")],
            &[("authorization", "Basic dGdfYV9i")],
        ] {
            assert_eq!(find(fields), None, "{fields:?}");
        }
    }
}
