//! The published connector sends `?idempotency=`, but Courier reads a header. Pure.

use http::HeaderValue;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

/// The parameter that Courier does not know.
const NAME: &str = "idempotency";

/// The target without the parameter, and the parameter's first value as a key; `None` if the target
/// has no such parameter.
pub(super) fn take(target: &PathAndQuery) -> Option<(PathAndQuery, Option<HeaderValue>)> {
    let query = target.query()?;
    let value_of = |pair: &'_ str| -> Option<String> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == NAME).then(|| value.to_owned())
    };
    let value = query.split('&').find_map(value_of)?;
    let rest: Vec<&str> = query.split('&').filter(|pair| value_of(pair).is_none()).collect();
    let shorter = match rest.as_slice() {
        [] => target.path().to_owned(),
        rest => format!("{}?{}", target.path(), rest.join("&")),
    };
    let shorter = PathAndQuery::try_from(shorter).ok()?;
    Some((shorter, key(&value)))
}

/// The value of the parameter, decoded as in a form (WHATWG URL, section 5.1) if a header field can
/// hold the result.
fn key(value: &str) -> Option<HeaderValue> {
    let spaced = value.replace('+', " ");
    let plain: Vec<u8> = percent_decode_str(&spaced).collect();
    let fits = plain.iter().all(|b| (b' '..=b'~').contains(b));
    let text = if fits { &plain[..] } else { value.as_bytes() };
    HeaderValue::from_bytes(text.trim_ascii()).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(target: &str) -> Option<(String, String)> {
        let (shorter, key) = take(&target.parse().unwrap())?;
        let key = key.map_or_else(String::new, |key| key.to_str().unwrap().to_owned());
        Some((shorter.to_string(), key))
    }

    #[test]
    fn the_parameter_becomes_a_key_and_the_rest_stays_byte_for_byte() {
        for (target, rest, key) in [
            ("/send?idempotency=order-1", "/send", "order-1"),
            ("/send?a=%20b&idempotency=k&c", "/send?a=%20b&c", "k"),
            ("/send?idempotency=a%2Fb+c", "/send", "a/b c"),
            ("/send?idempotency=%C3%A4", "/send", "%C3%A4"),
            ("/send?idempotency=%zz", "/send", "%zz"),
            ("/send?idempotency=%41%zz", "/send", "A%zz"),
            ("/send?idempotency=a%2Bb", "/send", "a+b"),
            ("/send?idempotency=", "/send", ""),
            ("/send?idempotency=1&idempotency=2", "/send", "1"),
        ] {
            assert_eq!(taken(target), Some((rest.into(), key.into())), "{target}");
        }
        for target in ["/send", "/send?a=idempotency", "/send?idempotency_key=1"] {
            assert_eq!(taken(target), None, "{target}");
        }
    }
}
