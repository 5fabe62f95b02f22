//! Where a client puts its key.

use http::HeaderMap;

/// The key that `headers` present, if they present one in an accepted form.
#[must_use]
pub fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(Some(value.as_bytes())),
            (None, _) => Ok(None),
            _ => Err(()),
        }
    };
    if let Some(key) = only("x-api-key").ok()? {
        return Some(key);
    }
    let value = only("authorization").ok()??;
    match value.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"bearer ") => {
            Some(value[7..].trim_ascii_start())
        }
        _ => Some(value),
    }
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
        presented(&headers).map(|key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn a_key_comes_in_one_of_three_forms() {
        for fields in [
            &[("x-api-key", "tg_a_b")][..],
            &[("x-api-key", "tg_a_b"), ("authorization", "Bearer other")],
            &[("authorization", "Bearer tg_a_b")],
            &[("authorization", "bearer  tg_a_b")],
            &[("authorization", "tg_a_b")],
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
        ] {
            assert_eq!(find(fields), None, "{fields:?}");
        }
    }
}
