//! Words for people who wrote something wrong: what was expected, and what they may have meant.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// Below this likeness a word is another word, and no slip.
const ALIKE: f64 = 0.55;

/// The one of `known` that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(&word, other);
    let alike = known.into_iter().map(|other| (likeness(other), other));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, other)| other)
}

/// `: did you mean 'x'?`, or nothing where no word is like `word`.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!(": did you mean '{near}'?"))
}

/// Reads a text. A value of another type is refused with `expected`, which says what would be
/// right.
///
/// # Errors
/// When it is no text.
pub fn text<'de, D: Deserializer<'de>>(
    from: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    from.deserialize_any(Text(expected))
}

/// The same, read further by `parse`.
///
/// # Errors
/// When it is no text, and what `parse` says.
pub fn parsed<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    from: D,
    expected: &'static str,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<T, D::Error> {
    parse(text(from, expected)?).map_err(D::Error::custom)
}

struct Text(&'static str);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }
}

/// Whether nobody sees `c`, or it turns the text around it: what people are to read has none.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Gives `Deserialize` to types that are made from a text, with the words for all that is no text.
macro_rules! read_as_text {
    ($name:ty, $expected:expr) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::words::parsed(from, $expected, <$name>::try_from)
            }
        }
    };
}

pub(crate) use read_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_word() {
        let known = ["listen", "tls", "deadline", "head_size", "keep_alive"];
        for (slip, meant) in [("lisen", "listen"), ("headsize", "head_size"), ("TLS", "tls")] {
            assert_eq!(nearest(slip, known), Some(meant));
        }
        assert_eq!(nearest("banana", known), None);
        assert_eq!(did_you_mean("dedline", known), ": did you mean 'deadline'?");
        assert_eq!(did_you_mean("", known), "");
    }
}
