//! The values of an access line, written as JSON straight into it.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceId;

use crate::ids::RandomId;
use crate::{clock, digits, hex};

/// What can be a member of a line.
pub(super) trait LineMember {
    /// Appends it as JSON.
    fn write(&self, line: &mut Vec<u8>);
}

/// A word of the code or a checked name: nothing in it has to be escaped.
pub(super) struct Word<'a>(pub(super) &'a str);

/// Any text.
pub(super) struct Text<'a>(pub(super) &'a str);

/// A time that passed, in milliseconds.
pub(super) struct Millis(pub(super) Duration);

impl LineMember for Word<'_> {
    fn write(&self, line: &mut Vec<u8>) {
        line.push(b'"');
        line.extend_from_slice(self.0.as_bytes());
        line.push(b'"');
    }
}

impl LineMember for Text<'_> {
    fn write(&self, line: &mut Vec<u8>) {
        serde_json::to_writer(line, self.0).expect("a string is always JSON");
    }
}

impl LineMember for Millis {
    fn write(&self, line: &mut Vec<u8>) {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        digits::shortest_thousandth(line, micros);
    }
}

impl LineMember for RandomId {
    fn write(&self, line: &mut Vec<u8>) {
        Word(self.digits().as_str()).write(line);
    }
}

impl LineMember for TraceId {
    fn write(&self, line: &mut Vec<u8>) {
        let mut digits = [b'"'; 34];
        hex::write(&self.to_bytes(), &mut digits[1..33]);
        line.extend_from_slice(&digits);
    }
}

impl LineMember for SystemTime {
    fn write(&self, line: &mut Vec<u8>) {
        line.push(b'"');
        clock::write_rfc3339(line, *self);
        line.push(b'"');
    }
}

impl LineMember for u64 {
    fn write(&self, line: &mut Vec<u8>) {
        digits::number(line, *self);
    }
}

impl<M: LineMember> LineMember for Option<M> {
    fn write(&self, line: &mut Vec<u8>) {
        match self {
            Some(member) => member.write(line),
            None => line.extend_from_slice(b"null"),
        }
    }
}
