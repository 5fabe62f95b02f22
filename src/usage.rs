//! Usage: how much each application called through which connection, a day at a time.
//!
//! [`Usage`] adds up finished records in memory. A task of its own adds the new counts to a small
//! file in the state folder, one file for each day. It does so every ten seconds and at shutdown,
//! never on the path of a call. A process that is killed loses at most what it counted since the
//! last write. Counts that can't be written stay in memory and are written later.

pub mod book;
pub mod csv;
pub mod day;
pub mod folder;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use book::{Book, Counts, UsageRow, Who};
use day::Day;
use folder::Folder;

use crate::clock;
use crate::record::{Marks, Observer, Record};
use crate::targets;

/// Time between two writes.
pub const EVERY: Duration = Duration::from_secs(10);

/// The usage that is being counted, and where it is kept.
pub struct Usage {
    /// std, not tokio: each section is some additions and never awaits.
    book: Mutex<Book>,
    /// Held while files are written, so that there is one writer at a time. Calls never wait for
    /// it.
    folder: Mutex<Folder>,
    /// True if the last write failed.
    unwritten: AtomicBool,
}

/// The usage of some days.
#[derive(Debug, Default)]
pub struct UsageReport {
    /// The rows of each day that has any, in order.
    pub days: Vec<(Day, Vec<UsageRow>)>,
    /// What can't be read.
    pub missing: Vec<String>,
}

impl Usage {
    /// Keeps usage in the state folder at `path`, which must be this process's own.
    ///
    /// # Errors
    /// The folder for usage can't be made.
    pub fn open(path: &Path) -> Result<Arc<Self>, String> {
        let folder = Folder::create(path)?;
        let folder = Mutex::new(folder);
        Ok(Arc::new(Self { book: Mutex::default(), folder, unwritten: AtomicBool::default() }))
    }

    /// Writes every [`EVERY`], until nobody else holds this. Must be called inside a tokio runtime.
    pub fn keep(self: &Arc<Self>) {
        let usage = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(usage) = usage.upgrade() else { return };
                Self::write_aside(usage).await;
            }
        });
    }

    /// Runs [`write`](Self::write) on a thread that may block.
    pub async fn write_aside(usage: Arc<Self>) {
        if let Err(error) = tokio::task::spawn_blocking(move || usage.write()).await {
            tracing::error!(target: targets::USAGE, cause = %error, "usage was not written");
        }
    }

    /// Adds the counts since the last write to the files of their days. Blocks.
    pub fn write(&self) {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let news = self.book().take(Day::of(clock::wall()));
        let mut failed = false;
        for (day, rows) in news {
            if let Err(error) = folder.add(day, &rows) {
                tracing::error!(target: targets::USAGE, %day, cause = %error, "usage can't be written; it is kept in memory");
                self.book().put_back(day, rows);
                failed = true;
            }
        }
        self.unwritten.store(failed, Ordering::Relaxed);
    }

    /// The rows of the last `days` days, with what is not written yet, and what can't be read.
    /// Blocks.
    ///
    /// # Errors
    /// Why the folder can't be read.
    pub fn last(&self, days: u32) -> std::io::Result<UsageReport> {
        // Held, so that counts are in the files or in the book, and not in both.
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let today = Day::of(clock::wall());
        let mut all: BTreeMap<Day, BTreeMap<Who, Counts>> = BTreeMap::new();
        let mut report = UsageReport::default();
        let wanted = |day: &Day| today.since(*day) < days;
        for day in folder.days()?.into_iter().filter(wanted) {
            match folder.read(day) {
                Ok(rows) => all.entry(day).or_default().extend(rows.into_iter().flatten()),
                Err(reason) => report.missing.push(format!("usage of {day}: {reason}")),
            }
        }
        for (day, rows) in self.book().look().into_iter().filter(|(day, _)| wanted(day)) {
            for (who, counts) in rows {
                all.entry(day).or_default().entry(who).or_default().add(&counts);
            }
        }
        drop(folder);
        report.days =
            all.into_iter().map(|(day, rows)| (day, rows.into_iter().collect())).collect();
        Ok(report)
    }

    /// True if the last write failed. The counts since then wait in memory.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Usage {
    fn finished(&self, record: &Record, marks: &Marks) {
        let (Some(tenant), Some(app)) = (&marks.caller.tenant, &marks.caller.app) else { return };
        let (day, counts) = (Day::of(record.started_at), Counts::of(record.started, marks));
        self.book().count(day, (tenant, app, &marks.caller.connection), &counts);
    }
}
