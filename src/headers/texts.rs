//! The values of an answer's own fields, written one behind the other into one buffer.

use std::fmt::{Display, Write as _};

use bytes::BytesMut;
use http::HeaderValue;

use crate::digits;

/// Octets that the fields of most answers take.
const USUAL: usize = 320;

/// Makes values that share one allocation.
pub struct FieldTexts(BytesMut);

impl FieldTexts {
    /// None yet.
    #[must_use]
    pub fn empty() -> Self {
        Self(BytesMut::with_capacity(USUAL))
    }

    /// A value that says `text`; `None` if a field can't hold it (RFC 9110 section 5.5).
    pub fn value(&mut self, text: impl Display) -> Option<HeaderValue> {
        let mut shown = true;
        self.written(|buffer| shown = write!(buffer, "{text}").is_ok()).filter(|_| shown)
    }

    /// A value that says `number`.
    pub fn number(&mut self, number: u64) -> Option<HeaderValue> {
        self.written(|buffer| digits::number(buffer, number))
    }

    /// The value that `write` puts behind those before it.
    pub fn written(&mut self, write: impl FnOnce(&mut BytesMut)) -> Option<HeaderValue> {
        write(&mut self.0);
        HeaderValue::from_maybe_shared(self.0.split().freeze()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_was_written_however_long_they_get() {
        let (mut texts, long) = (FieldTexts::empty(), "x".repeat(2 * USUAL));
        let written: Vec<_> = ["a", "", &long, "b"].map(|text| texts.value(text)).into();
        let read: Vec<_> = written.iter().flatten().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(read, ["a", "", &long, "b"]);
    }

    #[test]
    fn what_no_field_can_hold_is_no_value_and_spoils_no_other() {
        let mut texts = FieldTexts::empty();
        assert_eq!(texts.value("a\nb"), None);
        assert_eq!(texts.value(7).unwrap(), "7");
        assert_eq!(texts.number(1_234_567).unwrap(), "1234567");
    }
}
