//! One line of the audit.

use serde::Serialize;

use super::Deed;
use crate::clock;
use crate::document::veiled;

/// The longest text, in characters; reasons are shorter.
const LONGEST: usize = 500;

/// One act as it is written and told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// `done` or `refused`.
    pub outcome: &'static str,
    /// The public part of the key. Of a refused act: the one that was named.
    pub key: Option<String>,
    /// The address that it came from.
    pub peer: Option<String>,
    /// The word for it.
    pub act: &'static str,
    /// What was done to what.
    pub what: String,
    /// The reason that was given.
    pub because: String,
    /// How it was before.
    pub before: Option<String>,
    /// How it is now.
    pub after: Option<String>,
    /// Why it was refused.
    pub detail: Option<String>,
}

impl AuditLine {
    /// `act`, now; refused, if there is a `why`.
    pub(super) fn new(act: Deed, why: Option<&str>) -> Self {
        Self {
            at_ms: clock::unix_ms(clock::wall()),
            outcome: if why.is_some() { "refused" } else { "done" },
            key: act.key.map(|key| key.as_str().to_owned()),
            peer: act.peer.map(|peer| peer.to_canonical().to_string()),
            act: act.act,
            what: fit(act.what),
            because: fit(act.because),
            before: act.before.map(fit),
            after: act.after.map(fit),
            detail: why.map(|why| fit(why.to_owned())),
        }
    }

    /// Whether it was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.detail.is_some()
    }
}

/// `text`, not longer than a line needs, with stars over what may be a secret.
fn fit(text: String) -> String {
    let text = veiled(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_an_operator_pasted_is_starred_and_long_text_is_cut() {
        let secret = format!("tg_ops1_{}", "aB3".repeat(15));
        let act = Deed {
            act: "override",
            because: format!("the key {secret} leaked"),
            what: "x".repeat(600).replace('x', "é "),
            ..Deed::default()
        };
        let line = AuditLine::new(act, Some("no"));
        assert!(line.because.starts_with("the key *** leaked"), "{}", line.because);
        assert_eq!(line.what.chars().count(), LONGEST + 1);
        assert!(line.is_refused() && line.outcome == "refused");
    }
}
