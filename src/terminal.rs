//! Text for people, on standard output and error; a reader that has gone is no reason to panic.

use std::io::Write as _;

/// A line on standard output.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line on standard error, with the program's name.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "tollgate: {text}");
}

/// A line on standard error as it is: one that names a place, which other programs read.
pub fn point(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
