//! Writes lines on a thread of its own, so that no call waits for the reader of the log.
//!
//! The first line wakes the thread. After a write the thread rests for a moment. Lines that come
//! meanwhile gather and do not wake it. So under load a line costs a copy, not a switch of threads.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes of lines that may wait: some 16,000 lines.
const MOST: usize = 8 << 20;

/// How long lines gather after a write.
const REST: Duration = Duration::from_millis(5);

/// How long the end of the process waits for the last lines to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Takes lines for the thread. Clones share one thread.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

/// When this is dropped, what is left is written, if the output takes it within a second.
pub struct Flush {
    writer: Writer,
    /// Carries no message. The thread has ended when the other end is gone.
    over: Receiver<()>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    news: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// The thread waits for a first line.
    asleep: bool,
    /// No more lines come.
    over: bool,
}

// === impl Writer ===

impl Writer {
    /// Starts a thread that writes to `out`.
    #[must_use]
    pub fn start(out: impl Write + Send + 'static) -> (Self, Flush) {
        let writer = Self(Arc::new(Shared {
            waiting: Mutex::default(),
            news: Condvar::new(),
            dropped: AtomicU64::new(0),
        }));
        let (ends, over) = mpsc::channel();
        let shared = writer.0.clone();
        let thread = std::thread::Builder::new().name("log".into());
        let started = thread.spawn(move || {
            shared.run(out);
            drop::<mpsc::Sender<()>>(ends);
        });
        started.expect("a process that is starting can have a thread");
        let flush = Flush { writer: writer.clone(), over };
        (writer, flush)
    }

    /// Takes `line`, which ends in its line feed; never blocks. A line without room is dropped and
    /// counted.
    pub fn put(&self, line: &[u8]) {
        let mut waiting = self.0.waiting();
        if waiting.lines.len() + line.len() > MOST {
            drop(waiting);
            return self.0.lost(line);
        }
        waiting.lines.extend_from_slice(line);
        if std::mem::take(&mut waiting.asleep) {
            drop(waiting);
            self.0.news.notify_one();
        }
    }

    /// Lines that were not written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

// === impl Shared ===

impl Shared {
    fn run(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        while self.take(&mut lines) {
            if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
                self.lost(&lines);
            }
            lines.clear();
            // A burst must not hold its memory for ever.
            lines.shrink_to(MOST / 16);
            let rest = self.waiting();
            let _ = self.news.wait_timeout_while(rest, REST, |waiting| !waiting.over);
        }
    }

    /// Waits for lines and takes them; false if there are none and none will come.
    fn take(&self, lines: &mut Vec<u8>) -> bool {
        let mut waiting = self.waiting();
        while waiting.lines.is_empty() && !waiting.over {
            waiting.asleep = true;
            waiting = self.news.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut waiting.lines, lines);
        !lines.is_empty()
    }

    fn lost(&self, lines: &[u8]) {
        let count = lines.iter().filter(|octet| **octet == b'\n').count();
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Flush ===

impl Drop for Flush {
    fn drop(&mut self) {
        self.writer.0.waiting().over = true;
        self.writer.0.news.notify_one();
        // Ends when the thread has ended, or when the time is over.
        let _ = self.over.recv_timeout(LAST_LINES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, SyncSender};

    /// An output that reports each piece and waits until the test lets it go on.
    struct Slow(Sender<Vec<u8>>, Receiver<()>);

    impl Write for Slow {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            self.0.send(lines.to_vec()).unwrap();
            // If the other end is gone, nothing waits any more.
            let _ = self.1.recv();
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Writer, Flush, Receiver<Vec<u8>>, SyncSender<()>) {
        let (pieces, written) = mpsc::channel();
        let (leave, given) = mpsc::sync_channel(1);
        let (writer, flush) = Writer::start(Slow(pieces, given));
        (writer, flush, written, leave)
    }

    #[test]
    fn a_line_is_written_at_once_and_those_behind_it_together() {
        let (writer, flush, written, leave) = slow();
        writer.put(b"one\n");
        assert_eq!(written.recv().unwrap(), b"one\n");
        writer.put(b"two\n");
        writer.put(b"three\n");
        drop(leave);
        assert_eq!(written.recv().unwrap(), b"two\nthree\n");
        drop(flush);
        assert!(written.recv().is_err(), "the thread has ended");
        assert_eq!(writer.dropped(), 0);
    }

    #[test]
    fn the_last_lines_are_written_before_the_end() {
        let (writer, flush, written, leave) = slow();
        drop(leave);
        (0..1000).for_each(|n| writer.put(format!("{n}\n").as_bytes()));
        drop(flush);
        let text: Vec<u8> = written.iter().flatten().collect();
        let lines: Vec<_> = (0..1000).map(|n| format!("{n}\n")).collect();
        assert_eq!(String::from_utf8(text).unwrap(), lines.concat());
    }

    #[test]
    fn what_finds_no_place_is_counted_by_the_line_and_the_rest_comes_whole() {
        let (writer, flush, written, leave) = slow();
        writer.put(b"first\n");
        written.recv().unwrap();
        let line = [b"x".repeat((1 << 20) - 1), b"\n".to_vec()].concat();
        (0..10).for_each(|_| writer.put(&line));
        assert_eq!(writer.dropped(), 2, "8 MiB wait");
        drop(leave);
        assert_eq!(written.recv().unwrap(), line.repeat(8));
        drop(flush);
    }

    #[test]
    fn lines_that_nobody_takes_any_more_are_counted() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (writer, flush) = Writer::start(Gone);
        writer.put(b"one\ntwo\n");
        drop(flush);
        assert_eq!(writer.dropped(), 2);
    }
}
