//! The field that carries a session.

use http::header::{self, HeaderMap, HeaderValue};

use super::sessions::{LENGTH, SessionId, SessionToken};

/// The name of the cookie.
const NAME: &str = "tollgate-session";

/// The session that `headers` name, if they name exactly one.
pub(super) fn of(headers: &HeaderMap) -> Option<SessionId> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim() == NAME).map(|(_, value)| value.trim());
    match (named.next(), named.next()) {
        (Some(token), None) => Some(SessionId::of(token)),
        _ => None,
    }
}

/// Makes a browser keep `token`, for this port's own pages only; `coded` if they come over TLS.
pub(super) fn kept(token: &SessionToken, coded: bool) -> HeaderValue {
    let (token, seconds) = (token.expose(), LENGTH.as_secs());
    let secure = if coded { "; Secure" } else { "" };
    let text =
        format!("{NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&text).expect("letters, digits and signs are a field");
    value.set_sensitive(true);
    value
}

/// Makes a browser forget it.
pub(super) fn forgotten() -> HeaderValue {
    HeaderValue::from_static("tollgate-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fields: &[&'static str]) -> Option<SessionId> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_static(field));
        }
        of(&headers)
    }

    #[test]
    fn one_session_is_found_among_other_cookies_and_two_are_none() {
        let it = Some(SessionId::of("abc"));
        for fields in [
            &["tollgate-session=abc"][..],
            &["a=b; tollgate-session=abc; c=d"],
            &["a=b", "tollgate-session=abc"],
        ] {
            assert_eq!(found(fields), it, "{fields:?}");
        }
        for fields in [
            &[][..],
            &["a=b"],
            &["my-tollgate-session=abc"],
            &["tollgate-session"],
            &["tollgate-session=abc; tollgate-session=abc"],
            &["tollgate-session=abc", "tollgate-session=x"],
        ] {
            assert_eq!(found(fields), None, "{fields:?}");
        }
    }
}
