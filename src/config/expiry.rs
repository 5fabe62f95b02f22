//! When a key expires.

use schemars::JsonSchema;

use crate::words::read_as_text;

/// A point in time.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(with = "String")]
pub struct Expiry(pub std::time::SystemTime);

read_as_text!(Expiry, "a time in quotes, such as \"2027-03-01T00:00:00Z\"");

impl serde::Serialize for Expiry {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&crate::clock::rfc3339(self.0))
    }
}

impl TryFrom<String> for Expiry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| {
            format!("'{text}' is not a time: write RFC 3339, such as \"2027-03-01T00:00:00Z\"")
        })?;
        Ok(Self(stamp.try_into().map_err(|_| format!("'{text}' is out of range"))?))
    }
}
