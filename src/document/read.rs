//! Reads a document again and again, each time without what was wrong before.

use std::cell::OnceCell;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::entries::{self, EntryPart};
use super::{Document, Problem, position, syntax, words};

/// The most problems that are reported; nobody reads as many at once.
const MOST_PROBLEMS: usize = 200;
/// serde's message for a value that is not a word. For a wrong word it names the right ones.
const ANY_WORD: &str = "wanted string or table";
/// The most times that a text is read: more than so many problems, their stand-ins and their
/// follow-ups need.
const MOST_STEPS: usize = 4000;

/// What could be read of a text.
pub struct Reading<'i, T> {
    /// All but what is wrong; `None` if nothing could be read.
    pub document: Option<Document<'i, T>>,
    /// What is wrong, in the order of the text.
    pub problems: Vec<Problem>,
}

/// Reads `text`.
///
/// # Errors
/// Every problem found, in the order of the text.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<Document<'_, T>, Vec<Problem>> {
    let Reading { document, problems } = read(text);
    document.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Reads as much of `text` as can be read.
#[must_use]
pub fn read<T: DeserializeOwned>(text: &str) -> Reading<'_, T> {
    if let Some(problem) = syntax::other_language(text) {
        return Reading { document: None, problems: vec![problem] };
    }
    let (mut root, errors) = DeTable::parse_recoverable(text);
    let wrong = syntax::Wrong::of(text, &errors);
    if wrong.spreads {
        return Reading { document: None, problems: wrong.problems };
    }
    if errors.is_empty() {
        if let Ok(value) = T::deserialize(toml::Deserializer::from(root)) {
            let document = Document { value, text, root: OnceCell::new() };
            return Reading { document: Some(document), problems: Vec::new() };
        }
        // Read again from its text: what most files need is not slowed by a copy.
        root = DeTable::parse_recoverable(text).0;
    }
    let span = root.span();
    let readable = root.into_inner();
    let draft = Draft {
        text,
        span,
        places: readable.clone(),
        readable,
        problems: Vec::new(),
        stand_ins: Vec::new(),
    };
    let (document, mut problems) = draft.finish();
    // A problem that follows from a line that can't be read is not reported.
    problems.retain(|problem| wrong.problems.iter().all(|other| other.line != problem.line));
    problems.extend(wrong.problems);
    problems.sort();
    problems.dedup();
    Reading { document, problems }
}

/// A document while what is wrong is taken out of it.
struct Draft<'i> {
    text: &'i str,
    span: Range<usize>,
    /// What is left to read.
    readable: DeTable<'i>,
    /// The same, but entries that were taken out are kept and marked.
    places: DeTable<'i>,
    problems: Vec<Problem>,
    /// The kind of each stand-in.
    stand_ins: Vec<usize>,
}

impl<'i> Draft<'i> {
    fn finish<T: DeserializeOwned>(mut self) -> (Option<Document<'i, T>>, Vec<Problem>) {
        for _ in 0..MOST_STEPS {
            let table = Spanned::new(self.span.clone(), self.readable.clone());
            match T::deserialize(toml::Deserializer::from(table)) {
                Ok(value) => {
                    let document =
                        Document { value, text: self.text, root: OnceCell::from(self.places) };
                    return (Some(document), self.problems);
                }
                Err(error) if self.problems.len() < MOST_PROBLEMS => {
                    if !self.mend(&error) {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        (None, self.problems)
    }

    /// Takes out what `error` is about; false if that can't be found.
    fn mend(&mut self, error: &Error) -> bool {
        let Some(span) = error.span() else {
            self.report(error, &[], 0);
            return false;
        };
        if entries::is_hollow(span.start) {
            return self.another_kind(&span);
        }
        let at_root = span == self.span;
        let lists = error.message().starts_with("invalid type: sequence");
        let found = entries::find(&self.readable, &span, lists);
        if let Some(name) = words::missing(error.message()) {
            let table = if at_root { Some(Vec::new()) } else { found };
            let Some(table) = table else { return false };
            return self.fill(error, &table, name, span.start);
        }
        let Some(mut path) = found else {
            self.report(error, &[], span.start);
            return false;
        };
        if error.message() == ANY_WORD {
            return entries::replace(&mut self.readable, &path, DeValue::String("?".into()));
        }
        let heading = self.text.get(span.start..).is_some_and(|text| text.starts_with("[["));
        if heading && error.message().starts_with("invalid type: map") {
            path.pop();
            self.tell(words::once(&path), span.start);
            return self.take_out(&path);
        }
        // No problem is reported for what is left of a table.
        let recovered = span.is_empty();
        if !entries::has_hollow(&self.places, &path) && !recovered {
            self.report(error, &path, span.start);
        }
        self.take_out(&path)
    }

    fn take_out(&mut self, path: &[EntryPart]) -> bool {
        entries::mark(&mut self.places, path);
        entries::remove(&mut self.readable, path)
    }

    /// Puts a stand-in for `name` into `table`.
    fn fill(&mut self, error: &Error, table: &[EntryPart], name: &str, at: usize) -> bool {
        let entry = [table, &[EntryPart::Key(name.to_owned())]].concat();
        if entries::get(&self.places, &entry).is_none() {
            self.report(error, table, at);
        }
        let number = self.stand_ins.len() + 1;
        self.stand_ins.push(0);
        self.put(table, name, number, 0)
    }

    fn put(&mut self, table: &[EntryPart], name: &str, number: usize, kind: usize) -> bool {
        let Some(value) = entries::stand_in(number, kind) else { return false };
        entries::put(&mut self.places, table, name, value.clone());
        entries::put(&mut self.readable, table, name, value)
    }

    /// The stand-in at `span` is of the wrong kind. Tries the next kind; if there is none, takes
    /// out the table.
    fn another_kind(&mut self, span: &Range<usize>) -> bool {
        let Some(path) = entries::find(&self.readable, span, true) else { return false };
        let number = span.start - entries::hollow(0).start;
        let Some(kind) = number.checked_sub(1).and_then(|at| self.stand_ins.get_mut(at)) else {
            return false;
        };
        *kind += 1;
        let kind = *kind;
        // The problem may be an entry within the stand-in.
        let depth = (0..path.len()).find(|depth| {
            let value = entries::get(&self.readable, &path[..=*depth]);
            value.is_some_and(|value| value.span() == *span)
        });
        let path = &path[..=depth.unwrap_or(path.len() - 1)];
        let Some((EntryPart::Key(name), table)) = path.split_last() else { return false };
        if self.put(table, name, number, kind) {
            return true;
        }
        let table = table.to_vec();
        self.take_out(&table)
    }

    fn report(&mut self, error: &Error, path: &[EntryPart], at: usize) {
        let value = entries::get(&self.places, path).map(Spanned::get_ref);
        self.tell(words::of(error.message(), path, value), at);
    }

    fn tell(&mut self, message: String, at: usize) {
        let (line, column) = position(self.text, at);
        self.problems.push(Problem::new(line, column, message));
    }
}
