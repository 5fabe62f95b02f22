//! The audit: who did what on the admin port and why, and what was refused to whom.
//!
//! Each act is one line: in the log under the target `audit`, in a file if one is named, and in
//! memory for those who ask. Whoever makes a change says so here when it is made. What is refused
//! is said by the port itself. Texts of operators are cut, and what may be a secret in them is
//! starred.

mod file;
mod kept;
mod line;
mod pace;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;

use crate::clock::Instant;
use crate::ids::KeyId;
use crate::targets;
use file::AuditFile;
use kept::KeptActs;
pub use line::AuditLine;
use pace::Pace;

/// What somebody did, or tried to do.
#[derive(Clone, Debug, Default)]
pub struct Deed {
    /// The word for it, such as `override`.
    pub act: &'static str,
    /// Whose key it was; nobody's for what happens by itself.
    pub key: Option<KeyId>,
    /// Where it came from.
    pub peer: Option<IpAddr>,
    /// What was done to what, in words.
    pub what: String,
    /// The reason that was given.
    pub because: String,
    /// How it was before.
    pub before: Option<String>,
    /// How it is now.
    pub after: Option<String>,
}

/// Takes down acts. Clones write the same audit.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    /// std, not tokio: each section moves a line.
    kept: Mutex<KeptActs>,
    /// std, not tokio: each section compares two moments.
    pace: Mutex<Pace>,
    file: AuditFile,
}

impl Audit {
    /// An audit that counts in `unwritten` the lines that its file did not take.
    #[must_use]
    pub fn new(unwritten: Counter) -> Self {
        let (kept, pace) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { kept, pace, file: AuditFile::new(unwritten) }))
    }

    /// From now on lines go to the end of `file`, which is opened anew.
    pub fn write_to(&self, file: Option<&Path>) {
        self.0.file.open(file);
    }

    /// Opens the file anew: what rotates it has moved the old one away.
    pub fn reopen(&self) {
        self.0.file.reopen();
    }

    /// Waits until what was said so far is in the file, or a second is over. It blocks.
    pub fn flush(&self) {
        self.0.file.flush();
    }

    /// `act` was done.
    pub fn done(&self, act: Deed) {
        self.write(AuditLine::new(act, None));
    }

    /// `act` was refused; `why` is what its sender was told. If there are too many of them in one
    /// second, only their number is said.
    pub fn refused(&self, act: Deed, why: &str) {
        let verdict =
            self.0.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if verdict.left_out > 0 {
            let what = format!("{} more acts were refused before this one", verdict.left_out);
            let sum = Deed { act: "refused", what, ..Deed::default() };
            self.write(AuditLine::new(sum, Some("more than 20 in a second are only counted")));
        }
        if verdict.is_written {
            self.write(AuditLine::new(act, Some(why)));
        }
    }

    /// The last `limit` lines, the newest first.
    #[must_use]
    pub fn last(&self, limit: usize) -> Vec<Arc<AuditLine>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).last(limit)
    }

    fn write(&self, line: AuditLine) {
        say(&line);
        self.0.file.append(&line);
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).add(line);
    }
}

/// Writes `line` to the log.
fn say(line: &AuditLine) {
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                target: targets::AUDIT,
                at_ms = line.at_ms,
                outcome = line.outcome,
                key = line.key.as_deref(),
                peer = line.peer.as_deref(),
                act = line.act,
                what = line.what,
                because = line.because,
                before = line.before,
                after = line.after,
                detail = line.detail,
                "{} {}", line.act, line.outcome
            )
        };
    }
    match line.is_refused() {
        true => event!(warn),
        false => event!(info),
    }
}
