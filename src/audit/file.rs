//! The audit's file. A thread appends to it, so that no request waits for a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::AuditLine;
use crate::targets;

/// Lines that may wait for the disk; more are counted as unwritten.
const WAITING: usize = 1024;
/// How long a flush waits.
const FLUSH: Duration = Duration::from_secs(1);

/// Where lines are appended, if a file is named.
pub(super) struct AuditFile {
    /// std, not tokio: each section puts an order on a channel, or begins a thread at a reload.
    thread: Mutex<Option<SyncSender<Order>>>,
    unwritten: Counter,
}

/// What the thread is told.
enum Order {
    Append(Vec<u8>),
    Reopen,
    Tell(Sender<()>),
}

/// What the thread has.
struct Appender {
    path: PathBuf,
    file: Option<File>,
    /// The last line was not written whole.
    torn: bool,
    /// It was said that lines can't be written.
    said: bool,
    unwritten: Counter,
}

impl AuditFile {
    pub(super) fn new(unwritten: Counter) -> Self {
        Self { thread: Mutex::default(), unwritten }
    }

    /// Appends to `path` from now on, which is opened anew; to none, if there is none.
    pub(super) fn open(&self, path: Option<&Path>) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread before ends when it has written what waits: nobody waits for its disk here.
        *thread = path.and_then(|path| self.begin(path.to_owned()));
    }

    fn begin(&self, path: PathBuf) -> Option<SyncSender<Order>> {
        let (orders, taken) = sync_channel(WAITING);
        let unwritten = self.unwritten.clone();
        let mut appender = Appender { path, file: None, torn: false, said: false, unwritten };
        let run = move || {
            appender.open();
            appender.run(&taken);
        };
        let begun = std::thread::Builder::new().name("audit".into()).spawn(run);
        begun.map_err(|cause| tracing::error!(target: targets::USAGE, %cause, "the audit's file is not written")).ok()?;
        Some(orders)
    }

    /// Opens the file anew.
    pub(super) fn reopen(&self) {
        self.tell(Order::Reopen);
    }

    /// Appends `line`; never blocks.
    pub(super) fn append(&self, line: &AuditLine) {
        let mut octets = serde_json::to_vec(line).expect("strings and numbers are always JSON");
        octets.push(b'\n');
        if !self.tell(Order::Append(octets)) {
            self.unwritten.inc();
        }
    }

    /// Waits until what was told is done, or a second is over.
    pub(super) fn flush(&self) {
        let (done, heard) = channel();
        if self.tell(Order::Tell(done)) {
            let _ = heard.recv_timeout(FLUSH);
        }
    }

    /// False if the thread does not keep up.
    fn tell(&self, order: Order) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_none_or(|orders| orders.try_send(order).is_ok())
    }
}

impl Appender {
    fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Append(line) => self.append(&line),
                Order::Reopen => self.open(),
                Order::Tell(done) => drop(done.send(())),
            }
        }
    }

    fn open(&mut self) {
        (self.file, self.torn) = (None, false);
        if let Err(error) = self.try_open() {
            self.say(&error);
        }
    }

    fn try_open(&mut self) -> io::Result<&mut File> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&self.path)?;
        Ok(self.file.insert(file))
    }

    fn append(&mut self, line: &[u8]) {
        match self.try_append(line) {
            Ok(()) if self.said => {
                self.said = false;
                tracing::info!(target: targets::USAGE, file = %self.path.display(), "the audit's file is written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.unwritten.inc();
                // It is opened again for the next line.
                self.file = None;
                self.say(&error);
            }
        }
    }

    /// One write a line: another process that appends to the same file can't come between.
    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        let whole = if self.torn { [b"\n", line].concat() } else { line.to_vec() };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.try_open()?,
        };
        let written = file.write(&whole)?;
        self.torn = written < whole.len();
        if self.torn { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Says once that lines can't be written.
    fn say(&mut self, cause: &io::Error) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(
                target: targets::USAGE,
                file = %self.path.display(), %cause,
                "the audit's file can't be written: acts are in the log only"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::audit::Deed;
    use crate::ids::RandomId;

    fn line(what: &str) -> AuditLine {
        AuditLine::new(Deed { what: what.to_owned(), ..Deed::default() }, None)
    }

    fn place() -> PathBuf {
        std::env::temp_dir().join(format!("tollgate-audit-{}", RandomId::new()))
    }

    /// What the lines in `path` are about.
    fn written(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        let what = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["what"].as_str().unwrap().to_owned()
        };
        text.lines().map(what).collect()
    }

    #[test]
    fn lines_go_to_the_end_of_a_file_of_their_owner_and_to_a_new_one_once_it_was_moved() {
        let (file, path) = (AuditFile::new(Counter::default()), place());
        std::fs::write(&path, "{\"what\":\"before\"}\n").unwrap();
        file.append(&line("to no file"));
        file.open(Some(&path));
        file.append(&line("one\nline"));
        file.flush();
        assert_eq!(written(&path), ["before", "one\nline"]);
        let moved = place();
        std::fs::rename(&path, &moved).unwrap();
        file.append(&line("two"));
        file.flush();
        assert_eq!(written(&moved).len(), 3, "it is still the old one");
        file.reopen();
        file.append(&line("three"));
        file.flush();
        assert_eq!(written(&path), ["three"]);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = place();
        file.open(Some(&other));
        file.append(&line("four"));
        file.flush();
        assert_eq!(written(&other), ["four"]);
        assert_eq!(file.unwritten.get(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_lines_that_are_counted_and_is_tried_again() {
        let (file, folder) = (AuditFile::new(Counter::default()), place());
        let path = folder.join("audit.log");
        file.open(Some(&path));
        (0..3).for_each(|n| file.append(&line(&n.to_string())));
        file.flush();
        assert_eq!(file.unwritten.get(), 3, "there is no folder");
        std::fs::create_dir(&folder).unwrap();
        file.append(&line("there is one"));
        file.flush();
        assert_eq!(written(&path), ["there is one"]);
        assert_eq!(file.unwritten.get(), 3);
    }
}
