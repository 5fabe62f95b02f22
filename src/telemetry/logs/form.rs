//! How a line looks. Whatever is in it, it stays one line, and it can't control a terminal.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use arc_swap::ArcSwap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::{Choice, event};
use crate::{clock, targets};

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

/// The form that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Human { colours: bool },
}

impl Format {
    pub(super) fn on(self, terminal: bool, colours: bool) -> Form {
        match self {
            Self::Json => Form::Json,
            Self::Auto if !terminal => Form::Json,
            Self::Auto | Self::Human => Form::Human { colours },
        }
    }
}

impl Form {
    /// JSON, if it `must` be.
    fn unless(self, must: bool) -> Self {
        if must { Self::Json } else { self }
    }
}

/// Formats events in the form that applies now.
pub(super) struct Lines {
    choice: Arc<ArcSwap<Choice>>,
}

impl Lines {
    pub(super) fn new(choice: Arc<ArcSwap<Choice>>) -> Self {
        Self { choice }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let form = self.choice.load().form;
        // Programs read the audit.
        let audit = event.metadata().target() == targets::AUDIT;
        let Form::Human { colours } = form.unless(audit) else {
            let mut line = event::json(event);
            tame(&mut line);
            return writeln!(writer, "{}", String::from_utf8_lossy(&line));
        };
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let time = time_of_day(clock::wall());
        write!(writer, "{time}  {}  {target}:", painted(&format!("{level:<5}"), level, colours))?;
        event.record(&mut Words(&mut writer));
        writeln!(writer)
    }
}

/// The time of day in UTC, with milliseconds.
pub(super) fn time_of_day(time: std::time::SystemTime) -> String {
    let time = clock::rfc3339(time);
    time.get(11..23).unwrap_or(&time).to_owned()
}

/// `text` in the colour of `level`.
pub(super) fn painted(text: &str, level: Level, colours: bool) -> String {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG | Level::TRACE => 2,
    };
    if colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The message, then the fields of an event.
struct Words<'a, 'w>(&'a mut Writer<'w>);

impl Visit for Words<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut tame = Tame { writer: self.0 };
        // A write to a line in memory does not fail.
        let _ = match field.name() {
            "message" => write!(tame, " {value:?}"),
            // Records of the crate `log` carry their origin, which the target says already.
            name if name.starts_with("log.") => Ok(()),
            name => write!(tame, "  {name}={}", quoted(format!("{value:?}"))),
        };
    }
}

/// Puts a value in quotes if it could be taken for several.
fn quoted(value: String) -> String {
    let bare = !value.contains([' ', '=']) || value.starts_with('"');
    if bare { value } else { format!("{value:?}") }
}

/// Writes a character as a JSON escape if it could control a terminal, end a line or turn the
/// direction of text.
struct Tame<'a, W> {
    writer: &'a mut W,
}

impl<W: fmt::Write> fmt::Write for Tame<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_wild) {
            let (plain, from) = rest.split_at(at);
            let mut chars = from.chars();
            let wild = chars.next().map_or(0, u32::from);
            write!(self.writer, "{plain}\\u{wild:04x}")?;
            rest = chars.as_str();
        }
        self.writer.write_str(rest)
    }
}

/// True for control characters, line and paragraph separators, and characters that hide text or
/// turn its direction.
fn is_wild(c: char) -> bool {
    let hides = |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || hides(c)
}

/// Makes of `line` a line of JSON whose strings can't control a terminal.
pub(super) fn tame(line: &mut Vec<u8>) {
    // The loop has no early exit, so that the compiler can test many bytes at a time.
    let plain = line.iter().fold(true, |plain, octet| plain & (b' '..=b'~').contains(octet));
    if plain {
        return;
    }
    let mut tamed = String::with_capacity(line.len() + 16);
    let mut tame = Tame { writer: &mut tamed };
    // A write to a string does not fail.
    let _ = tame.write_str(&String::from_utf8_lossy(line));
    *line = tamed.into_bytes();
}
