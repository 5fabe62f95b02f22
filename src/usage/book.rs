//! The counts that are not in their file yet. Pure: the day of each call is an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Instant;
use crate::error::Code;
use crate::ids::{AppId, ConnectionId, TenantId};
use crate::record::{Cached, Marks};

use super::day::{Day, KEPT};

/// A shorter stay in the queue does not count as a wait.
const WAIT: Duration = Duration::from_millis(1);

macro_rules! counts {
    ($($(#[doc = $help:literal])+ $name:ident;)*) => {
        /// What is counted of the calls of one app on one connection in one day.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
        pub struct Counts { $($(#[doc = $help])+ pub $name: u64,)* }

        impl Counts {
            /// Name and meaning of each count, in order.
            pub const TABLE: &[(&str, &str)] =
                &[$((stringify!($name), concat!($($help),*).trim_ascii()),)*];

            /// The counts, in order.
            #[must_use]
            pub fn values(&self) -> Vec<u64> { vec![$(self.$name),*] }

            /// Adds `more`.
            pub fn add(&mut self, more: &Self) {
                $(self.$name = self.$name.saturating_add(more.$name);)*
            }
        }
    };
}

counts! {
    /// Calls with a valid key of an app, whatever became of them.
    calls;
    /// Calls that ended in a 5xx, the gateway's or Courier's, or in an answer that was cut.
    errors;
    /// Calls that the cache answered without Courier.
    saved;
    /// Attempts at Courier, retries included.
    attempts;
    /// Calls that waited for their turn, 1 ms or longer.
    waits;
    /// How long they waited in total, in microseconds.
    wait_us;
    /// Calls refused with 429 `quota-exhausted`.
    quota_exhausted;
    /// Calls refused with 429 `queue-full`.
    queue_full;
    /// Calls refused with 429 `deadline-too-near`.
    deadline_too_near;
    /// Calls refused with 429 `vendor-throttled`.
    vendor_throttled;
    /// Calls refused with 429 `app-limited`.
    app_limited;
    /// Bytes of request bodies.
    bytes_in;
    /// Bytes of answer bodies.
    bytes_out;
}

/// Who called, and through which connection, if that was known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The tenant of the app.
    pub tenant: TenantId,
    /// The app, whose name is unique in its tenant.
    pub app: AppId,
    /// `None` if the call was refused before its connection was known.
    pub connection: Option<ConnectionId>,
}

/// The counts of one app on one connection.
pub type UsageRow = (Who, Counts);

/// Maps in maps, so that a look-up needs no owned key.
type Sheet = HashMap<TenantId, HashMap<AppId, HashMap<Option<ConnectionId>, Counts>>>;

/// Counts by day, app and connection. It holds the apps that called today, and counts that could
/// not be written.
#[derive(Default)]
pub struct Book {
    days: BTreeMap<Day, Sheet>,
}

impl Counts {
    /// The counts of one finished call, which began at `started`.
    #[must_use]
    pub fn of(started: Instant, marks: &Marks) -> Self {
        let (queue, attempts) = (marks.breakdown(started).queue, marks.timeline.attempts());
        let failed = marks.status.is_some_and(|status| status.is_server_error()) || marks.broken;
        let saved = marks.cached.is_some_and(Cached::saves_quota) && attempts == 0;
        let waited = queue >= WAIT;
        let wait = if waited { queue } else { Duration::ZERO };
        let refused = |code| u64::from(marks.code == Some(code));
        Self {
            calls: 1,
            errors: failed.into(),
            saved: saved.into(),
            attempts: attempts.into(),
            waits: waited.into(),
            wait_us: u64::try_from(wait.as_micros()).unwrap_or(u64::MAX),
            quota_exhausted: refused(Code::QuotaExhausted),
            queue_full: refused(Code::QueueFull),
            deadline_too_near: refused(Code::DeadlineTooNear),
            vendor_throttled: refused(Code::VendorThrottled),
            app_limited: refused(Code::AppLimited),
            bytes_in: marks.bytes_in,
            bytes_out: marks.bytes_out,
        }
    }

    /// Calls that the gateway refused with 429.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.quota_exhausted
            + self.queue_full
            + self.deadline_too_near
            + self.vendor_throttled
            + self.app_limited
    }
}

impl Book {
    /// Adds `counts` to the row of `who` on `day`. Allocates only on the first call of a row.
    pub fn count(
        &mut self,
        day: Day,
        who: (&TenantId, &AppId, &Option<ConnectionId>),
        counts: &Counts,
    ) {
        let (tenant, app, connection) = who;
        let sheet = self.days.entry(day).or_default();
        let row = sheet.get_mut(tenant).and_then(|apps| apps.get_mut(app)?.get_mut(connection));
        let row = match row {
            Some(row) => row,
            None => {
                let apps = sheet.entry(tenant.clone()).or_default();
                apps.entry(app.clone()).or_default().entry(connection.clone()).or_default()
            }
        };
        row.add(counts);
    }

    /// The counts since the last time, by day.
    #[must_use]
    pub fn look(&self) -> Vec<(Day, Vec<UsageRow>)> {
        let rows = |sheet: &Sheet| {
            let mut rows = Vec::new();
            for (tenant, apps) in sheet {
                for (app, connections) in apps {
                    for (connection, counts) in connections.iter().filter(|row| row.1.calls > 0) {
                        let (tenant, app) = (tenant.clone(), app.clone());
                        rows.push((Who { tenant, app, connection: connection.clone() }, *counts));
                    }
                }
            }
            rows
        };
        self.days.iter().map(|(day, sheet)| (*day, rows(sheet))).collect()
    }

    /// Takes the counts since the last time, by day. The rows of `today` stay, at zero, so that
    /// their next call allocates nothing.
    pub fn take(&mut self, today: Day) -> Vec<(Day, Vec<UsageRow>)> {
        let mut news = Vec::new();
        for (day, sheet) in &mut self.days {
            let mut rows = Vec::new();
            for (tenant, apps) in sheet {
                for (app, connections) in apps {
                    for (connection, counts) in connections.iter_mut().filter(|row| row.1.calls > 0)
                    {
                        let (tenant, app) = (tenant.clone(), app.clone());
                        let who = Who { tenant, app, connection: connection.clone() };
                        rows.push((who, std::mem::take(counts)));
                    }
                }
            }
            if !rows.is_empty() {
                news.push((*day, rows));
            }
        }
        self.days.retain(|day, _| *day == today);
        news
    }

    /// Takes back counts that could not be written. If there are more days than a folder keeps, the
    /// oldest are given up.
    pub fn put_back(&mut self, day: Day, rows: Vec<UsageRow>) {
        for (who, counts) in rows {
            self.count(day, (&who.tenant, &who.app, &who.connection), &counts);
        }
        while self.days.len() > KEPT as usize {
            self.days.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Wait;
    use http::StatusCode;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn one() -> Counts {
        Counts { calls: 1, bytes_in: 3, ..Counts::default() }
    }

    fn count(book: &mut Book, on: &str, app: &str, times: u32) {
        let (tenant, app) = ("acme".parse().unwrap(), app.parse().unwrap());
        let connection = Some("acme-prod".parse().unwrap());
        for _ in 0..times {
            book.count(day(on), (&tenant, &app, &connection), &one());
        }
    }

    fn calls(news: &[(Day, Vec<UsageRow>)]) -> Vec<(String, &str, u64)> {
        let mut calls = Vec::new();
        for (day, rows) in news {
            for (who, counts) in rows {
                calls.push((day.to_string(), who.app.as_str(), counts.calls));
            }
        }
        calls.sort();
        calls
    }

    #[test]
    fn what_cannot_be_written_is_held_for_as_many_days_as_files_are_kept() {
        let mut book = Book::default();
        let after = |days: u32| day("2026-11-24").start() + days * Duration::from_secs(86_400);
        let days: Vec<_> = (0..=KEPT).map(|days| Day::of(after(days))).collect();
        for on in &days {
            count(&mut book, &on.to_string(), "a", 1);
            for (day, rows) in book.take(*on) {
                book.put_back(day, rows);
            }
        }
        let held = book.take(days[days.len() - 1]);
        assert_eq!(held.iter().map(|(day, _)| *day).collect::<Vec<_>>(), days[1..]);
    }

    #[test]
    fn each_call_is_taken_once_whichever_way_the_clock_moves() {
        let mut book = Book::default();
        count(&mut book, "2026-11-24", "b", 2);
        count(&mut book, "2026-11-24", "a", 1);
        let news = book.take(day("2026-11-24"));
        assert_eq!(
            calls(&news),
            [("2026-11-24".to_owned(), "a", 1), ("2026-11-24".to_owned(), "b", 2)]
        );
        assert!(book.take(day("2026-11-24")).is_empty(), "nothing is new");
        // The clock passes midnight, steps back over it, and passes it again.
        count(&mut book, "2026-11-24", "a", 1);
        count(&mut book, "2026-11-25", "a", 1);
        count(&mut book, "2026-11-24", "a", 3);
        let news = book.take(day("2026-11-24"));
        assert_eq!(
            calls(&news),
            [("2026-11-24".to_owned(), "a", 4), ("2026-11-25".to_owned(), "a", 1)]
        );
        count(&mut book, "2026-11-25", "a", 1);
        assert_eq!(calls(&book.take(day("2026-11-25"))), [("2026-11-25".to_owned(), "a", 1)]);
        assert_eq!(book.days.len(), 1, "only today is kept in mind");
    }

    #[test]
    fn what_is_put_back_is_taken_again_with_what_came_since() {
        let mut book = Book::default();
        count(&mut book, "2026-11-24", "a", 2);
        let news = book.take(day("2026-11-25"));
        count(&mut book, "2026-11-24", "a", 1);
        for (day, rows) in news {
            book.put_back(day, rows);
        }
        assert_eq!(calls(&book.take(day("2026-11-25"))), [("2026-11-24".to_owned(), "a", 3)]);
    }

    #[test]
    fn a_call_counts_for_what_became_of_it() {
        let start = Instant::now();
        let marks = |status: u16| Marks {
            status: Some(StatusCode::from_u16(status).unwrap()),
            complete: true,
            ..Marks::default()
        };
        let refused = |code: Code| Marks { code: Some(code), ..marks(code.status().as_u16()) };
        assert_eq!(Counts::of(start, &marks(200)), Counts { calls: 1, ..Counts::default() });
        assert_eq!(Counts::of(start, &marks(502)).errors, 1);
        assert_eq!(Counts::of(start, &Marks { broken: true, ..marks(200) }).errors, 1);
        assert_eq!(Counts::of(start, &marks(429)).refused(), 0, "the vendor's own");
        let rules = Code::ALL.iter().filter(|c| Counts::of(start, &refused(**c)).refused() == 1);
        // Nobody logs in where calls are made.
        let others = Code::ALL.iter().filter(|c| **c != Code::LoginsLimited);
        let of_429 = others.filter(|c| c.status() == StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(rules.collect::<Vec<_>>(), of_429.collect::<Vec<_>>());
        let queued = |micros| {
            let (mut waited, left) = (marks(200), start + Duration::from_micros(micros));
            waited.timeline.waited(Wait { left, ..Wait::begins(start, None) });
            waited.ended_at = Some(left);
            waited
        };
        let waited = queued(1_500);
        assert_eq!(
            (Counts::of(start, &waited).waits, Counts::of(start, &waited).wait_us),
            (1, 1_500)
        );
        let at_once = queued(900);
        assert_eq!(
            (Counts::of(start, &at_once).waits, Counts::of(start, &at_once).wait_us),
            (0, 0)
        );
        let shared = Marks { cached: Some(Cached::Shared), ..marks(200) };
        assert_eq!(Counts::of(start, &shared).saved, 1);
        let mut tried = shared;
        for _ in 0..2 {
            tried.timeline.try_begins(start);
            tried.timeline.try_sent_at(start);
            tried.timeline.try_ends(start, Ok(StatusCode::OK));
        }
        assert_eq!((Counts::of(start, &tried).saved, Counts::of(start, &tried).attempts), (0, 2));
    }

    #[test]
    fn a_known_row_costs_no_allocation() {
        let mut book = Book::default();
        let (tenant, app) = ("acme".parse().unwrap(), "billing".parse().unwrap());
        let connection = Some("acme-prod".parse().unwrap());
        let (start, marks) = (Instant::now(), Marks::default());
        let mut call = || {
            book.count(day("2026-11-24"), (&tenant, &app, &connection), &Counts::of(start, &marks));
        };
        call();
        let today = day("2026-11-24");
        let cost = allocation_counter::measure(|| {
            let counts = Counts::of(start, &marks);
            book.count(today, (&tenant, &app, &connection), &counts);
        });
        assert_eq!(cost.count_total, 0, "{cost:?}");
    }
}
