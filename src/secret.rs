//! Secrets: no `Display`, no `Serialize`, a `Debug` that says nothing, wiped when dropped. The
//! field that carries a token to Courier is kept beside it, as `http` has it: that memory is not
//! wiped.

mod source;

use std::fmt;
use std::sync::OnceLock;

use http::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

pub use source::{KnownTokens, Stamp, TokenSource, Tokens};

/// How Courier's tokens begin. Its documentation names no other form.
const COURIER: [&[u8]; 5] = [b"pk_prod_", b"dk_prod_", b"pk_test_", b"dk_test_", b"token_"];

/// Whether `octets` begin as a token of Courier's does.
#[must_use]
pub fn begins_as_couriers(octets: &[u8]) -> bool {
    COURIER.iter().any(|begin| octets.starts_with(begin))
}

/// A vendor token as the `Authorization` field that carries it.
#[derive(Clone)]
pub struct VendorToken {
    token: SecretString,
    /// Made when it is first used.
    authorization: OnceLock<HeaderValue>,
}

impl VendorToken {
    /// Reads a token as people store it: surrounding white space and the word `Bearer` are dropped.
    ///
    /// # Errors
    /// A reason, without the token, when nothing is left or it cannot stand in a header.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let token = match text.get(..6) {
            Some(word) if word.eq_ignore_ascii_case("bearer") => text[6..].trim_start(),
            _ => text,
        };
        if token.is_empty() {
            return Err("is empty: it must hold the token");
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(
                "holds white space or characters that no token has: it must hold the token alone",
            );
        }
        Ok(Self { token: token.into(), authorization: OnceLock::new() })
    }

    /// True when quotes stand around it, as a shell or an env file may leave them.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        let token = self.token.expose_secret();
        ['"', '\'']
            .iter()
            .any(|quote| token.len() > 1 && token.starts_with(*quote) && token.ends_with(*quote))
    }

    /// True for a key of this gateway, which Courier does not know.
    #[must_use]
    pub fn is_gateway_key(&self) -> bool {
        self.token.expose_secret().starts_with("tg_")
    }

    /// `Bearer <token>`, marked sensitive: it is neither printed nor put into HPACK tables.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        let make = || {
            let text = Zeroizing::new(format!("Bearer {}", self.token.expose_secret()));
            let mut value = HeaderValue::from_str(&text).expect("a parsed token is visible ASCII");
            value.set_sensitive(true);
            value
        };
        self.authorization.get_or_init(make).clone()
    }

    /// True when `octets` hold the token.
    #[must_use]
    pub fn is_in(&self, octets: &[u8]) -> bool {
        let token = self.token.expose_secret().as_bytes();
        octets.windows(token.len()).any(|window| window == token)
    }

    /// Puts stars over the token wherever `octets` holds it; true when it did.
    pub fn blank(&self, octets: &mut [u8]) -> bool {
        let token = self.token.expose_secret().as_bytes();
        let (mut at, mut found) = (0, false);
        while let Some(window) = octets.get_mut(at..at + token.len()) {
            if window == token {
                window.fill(b'*');
                found = true;
                at += token.len();
            } else {
                at += 1;
            }
        }
        found
    }

    /// How many of the last `octets` may be the beginning of the token.
    #[must_use]
    pub fn begins_in(&self, octets: &[u8]) -> usize {
        let token = self.token.expose_secret().as_bytes();
        let longest = octets.len().min(token.len() - 1);
        let begins = |length: &usize| octets.ends_with(&token[..*length]);
        (1..=longest).rev().find(begins).unwrap_or(0)
    }

    /// A hash by which the token can be recognised with the same `key` (SHA-256, nested so that no
    /// other can be made of it).
    #[must_use]
    pub fn keyed_hash(&self, key: &[u8; 32]) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        let inner = Sha256::new().chain_update(key).chain_update(self.token.expose_secret());
        Sha256::new().chain_update(key).chain_update(inner.finalize()).finalize().into()
    }

    /// True when both are the same token; the time taken does not depend on where they differ.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        let (a, b) = (self.token.expose_secret(), other.token.expose_secret());
        a.as_bytes().ct_eq(b.as_bytes()).into()
    }
}

impl fmt::Debug for VendorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VendorToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_bearer_is_optional() {
        for text in ["tok-1", "Bearer tok-1", "bearer  tok-1\n", "  tok-1 "] {
            let token = VendorToken::parse(text).unwrap();
            assert_eq!(token.authorization(), "Bearer tok-1", "{text:?}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_without_being_printed() {
        for text in ["", "Bearer ", "two words", "line\nbreak", "naïve"] {
            let reason = VendorToken::parse(text).unwrap_err();
            assert!(text.is_empty() || !reason.contains(text.trim()), "{reason}");
        }
    }

    #[test]
    fn a_token_in_quotes_is_known_as_such() {
        for (text, quoted) in [("\"tok\"", true), ("'tok'", true), ("tok", false), ("\"", false)] {
            assert_eq!(VendorToken::parse(text).unwrap().is_quoted(), quoted, "{text}");
        }
    }

    #[test]
    fn nothing_prints_a_token() {
        let token = VendorToken::parse("tok-1").unwrap();
        assert_eq!(format!("{token:?}"), "VendorToken(..)");
        assert_eq!(format!("{:?}", token.authorization()), "Sensitive");
    }
}
