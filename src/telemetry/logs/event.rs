//! The JSON line of an event. It begins as the line of a call does: `ts`, `level`, `target`,
//! `message`.

use std::fmt::Debug;

use serde::Serialize;
use tracing::Event;
use tracing::field::{Field, Visit};

use crate::clock;

/// The members of every line. A field of an event that has one of these names gets another name.
const EVERY: [&str; 3] = ["ts", "level", "target"];

/// The line of `event`, without its line feed.
pub(super) fn json(event: &Event<'_>) -> Vec<u8> {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let metadata = event.metadata();
    let mut line = Vec::with_capacity(256 + fields.rest.len());
    member(&mut line, "ts", &clock::rfc3339(clock::wall()));
    member(&mut line, "level", metadata.level().as_str());
    member(&mut line, "target", fields.target.as_deref().unwrap_or(metadata.target()));
    member(&mut line, "message", &fields.message);
    line.extend_from_slice(&fields.rest);
    line[0] = b'{';
    line.push(b'}');
    line
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    /// The target of a record of the crate `log`. All its events have one target in `tracing`.
    target: Option<String>,
    /// All others, as members of the line.
    rest: Vec<u8>,
}

impl Fields {
    fn add<T: Serialize + ?Sized>(&mut self, field: &Field, value: &T) {
        let name = field.name();
        if EVERY.contains(&name) {
            member(&mut self.rest, &format!("event_{name}"), value);
        } else {
            member(&mut self.rest, name, value);
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "log.target" => self.target = Some(value.to_owned()),
            name if name.starts_with("log.") => {}
            _ => self.add(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Appends a member with a comma before it.
fn member<T: Serialize + ?Sized>(line: &mut Vec<u8>, name: &str, value: &T) {
    line.push(b',');
    serde_json::to_writer(&mut *line, name).expect("a string is always JSON");
    line.push(b':');
    serde_json::to_writer(line, value).expect("strings and numbers are always JSON");
}
