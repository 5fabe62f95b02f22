//! Identifiers are types, parsed once: a tenant cannot stand where an app belongs.

mod drawn;

use std::fmt;
use std::sync::Arc;

use crate::hex;
use crate::words::read_as_text;

/// What a name of the configuration looks like; said in each message that refuses one.
const NAME_RULE: &str =
    "1 to 64 characters of a-z, 0-9, '.', '_' and '-', the first a letter or digit";

fn is_name(text: &str) -> bool {
    let tail = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=64).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(tail)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, schemars::JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        read_as_text!($name, "a name in quotes, such as \"billing\"");

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if is_name(&text) {
                    Ok(Self(text.into()))
                } else {
                    Err(format!("'{text}' is not a name: use {NAME_RULE}"))
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }
    };
}

id! {
    /// An organisation or team; nothing crosses from one to another.
    TenantId
}
id! {
    /// One vendor credential with its quota.
    ConnectionId
}
id! {
    /// The vendor's side of a connection: connections of one workspace see each other's writes.
    WorkspaceId
}
id! {
    /// One internal application, with its own keys, scopes, lane and weight.
    AppId
}

/// The public part of an app's key, `tg_<id>_<secret>`: 1 to 32 characters of `a-z` and `0-9`.
#[derive(Clone, PartialEq, Eq, Hash, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct KeyId(Arc<str>);

read_as_text!(KeyId, "a key id in quotes, such as \"k1\"");

impl KeyId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits {
            Ok(Self(text.into()))
        } else {
            // Without the text: a whole key may have been pasted here.
            Err("not a key id: use 1 to 32 characters of a-z and 0-9")
        }
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digits of a [`RandomId`].
pub struct IdDigits([u8; 32]);

impl IdDigits {
    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits are ASCII")
    }
}

/// 128 random bits that name one call (or this process), written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RandomId(u128);

impl RandomId {
    /// A fresh one from the system's generator.
    #[must_use]
    pub fn new() -> Self {
        Self::with_more().0
    }

    /// A fresh one and further random octets, in one draw.
    #[must_use]
    pub fn with_more() -> (Self, [u8; 24]) {
        let octets = drawn::fresh();
        let (mut id, mut more) = ([0; 16], [0; 24]);
        id.copy_from_slice(&octets[..16]);
        more.copy_from_slice(&octets[16..]);
        (Self(u128::from_ne_bytes(id)), more)
    }

    /// The id as a number: for a choice by chance that is the same for the same call.
    #[must_use]
    pub const fn number(self) -> u128 {
        self.0
    }

    /// Its digits.
    #[must_use]
    pub fn digits(self) -> IdDigits {
        let mut digits = [0; 32];
        hex::write(&self.to_octets(), &mut digits);
        IdDigits(digits)
    }

    /// Its octets, in the order in which its digits are written.
    #[must_use]
    pub const fn to_octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id of these octets.
    #[must_use]
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(octets))
    }
}

impl std::str::FromStr for RandomId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or("not a call id: use the 32 hex digits of Tollgate-Call-Id")
    }
}

impl Default for RandomId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits().as_str())
    }
}

impl fmt::Debug for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words_of_at_most_64_characters() {
        for good in ["a", "acme-prod", "news.eu_1", "9"] {
            assert!(good.parse::<TenantId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "Acme", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_name_says_what_would_be_right() {
        let message = "Acme".parse::<TenantId>().unwrap_err();
        assert!(message.contains("'Acme'") && message.contains("a-z"), "{message}");
    }

    #[test]
    fn a_random_id_is_32_hex_digits() {
        let text = RandomId::new().to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text, format!("{:032x}", text.parse::<RandomId>().unwrap().number()));
        assert!(text.bytes().all(|b| b.is_ascii_hexdigit()));
        let id: RandomId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(RandomId::from_octets(id.to_octets()), id);
        for bad in ["", "+", &text[1..], &format!("+{}", &text[1..])] {
            assert!(bad.parse::<RandomId>().is_err(), "{bad}");
        }
    }
}
