//! The one sentence that answers "why was it slow?". It begins with the largest part of the time.

use std::time::Duration;

use super::Entry;
use super::parts::{TimePart, parts};
use crate::quota::{LimitedBy, QuotaRule};
use crate::record::{Cached, Stood, Try, Wait};

/// A call that took less was not slow.
const QUICK: Duration = Duration::from_millis(50);

/// The sentence.
pub(super) fn sentence(entry: &Entry) -> String {
    let total = entry.total();
    if let Some(wait) =
        entry.refusal().filter(|wait| !wait.queued && entry.timeline.tries().is_empty())
    {
        return refused_at_once(wait);
    }
    let largest = parts(entry).into_iter().max_by_key(|(_, time)| *time);
    let Some((part, time)) = largest else {
        return format!("It took no time that can be measured{}.", ending(entry));
    };
    let quick = if total < QUICK { "It was not slow: it took" } else { "It took" };
    let percent = (time.as_secs_f64() / total.as_secs_f64() * 100.0).round();
    format!(
        "{quick} {}, {} of it ({percent} %) {}{}.",
        span(total),
        span(time),
        spent_on(part, entry),
        ending(entry)
    )
}

fn refused_at_once(wait: &Wait) -> String {
    let why = wait.refused.map_or("", because);
    match &wait.stood {
        Some(stood) => format!(
            "It was refused at once, since {why}: {} before it, and it would have waited {} {}.",
            position(stood),
            span(stood.standing.expected),
            bound(stood)
        ),
        None => format!("It was refused at once, since {why}."),
    }
}

/// What a part of the time was spent on.
fn spent_on(part: TimePart, entry: &Entry) -> String {
    match part {
        TimePart::Request => format!("receiving the request with its {} octets", entry.bytes_in),
        TimePart::Queue => match entry.longest_wait().and_then(|wait| wait.stood.as_ref()) {
            Some(stood) => {
                format!("waiting {}: {} before it when it came", bound(stood), position(stood))
            }
            None => "waiting for its turn".into(),
        },
        TimePart::Pause => format!("pausing between its tries ({})", ends(entry)),
        TimePart::Connect => "getting a connection to Courier".into(),
        TimePart::Vendor => match entry.timeline.tries().len() {
            1 => format!("waiting for Courier's answer ({})", ends(entry)),
            tries => format!("waiting for Courier's answers to {tries} tries ({})", ends(entry)),
        },
        TimePart::Another => "waiting for another call that asked the same".into(),
        TimePart::Gateway => match entry.cached {
            Some(Cached::Hit { .. } | Cached::Stale { .. }) => "answering it from a copy".into(),
            _ => "in the gateway itself".into(),
        },
        TimePart::Answer => {
            format!(
                "handing over the answer's {} octets, as Courier sent them and the client read them",
                entry.bytes_out
            )
        }
    }
}

/// How the call ended; empty if all was well.
fn ending(entry: &Entry) -> String {
    let refusal = entry.refusal().and_then(|wait| wait.refused);
    match (refusal, entry.code, entry.end) {
        (Some(rule), ..) => format!("; then it was refused, since {}", because(rule)),
        (None, Some(code), _) => format!("; it ended as {}", code.as_str()),
        (None, None, "ok") => String::new(),
        (None, None, "client-gone") => "; its client left before the end".into(),
        (None, None, end) => format!("; it ended as {end}"),
    }
}

fn because(rule: QuotaRule) -> &'static str {
    match rule {
        QuotaRule::QuotaExhausted => "no slot would be free within the longest wait",
        QuotaRule::QueueFull => "as many calls waited as may",
        QuotaRule::DeadlineTooNear => "no slot would be free before its caller's own deadline",
        QuotaRule::VendorThrottled => "Courier had asked for a pause",
        QuotaRule::AppLimited => "its app's own limit was reached",
        QuotaRule::LedgerAway => {
            "the replicas' Redis did not answer, and without it nobody may use the shared quota for longer"
        }
        QuotaRule::AppPaused => "an operator had paused its app",
    }
}

fn bound(stood: &Stood) -> String {
    let pool = stood.pool.as_deref().unwrap_or("the quota");
    match stood.standing.bound {
        LimitedBy::Slot(_) => format!("for a slot of '{pool}'"),
        LimitedBy::Share => "for slots that were kept for others' shares".into(),
        LimitedBy::Pace => "for the pace that spreads calls".into(),
        LimitedBy::Vendor(_) => format!("for the end of the pause that Courier asked of '{pool}'"),
        LimitedBy::Ledger(_) => format!("for the replicas' Redis, which lends slots of '{pool}'"),
        LimitedBy::AppLimit => "for its app's own limit".into(),
    }
}

/// "3 calls of 2 apps stood".
fn position(stood: &Stood) -> String {
    let standing = stood.standing;
    let own = match standing.own {
        0 => String::new(),
        own if own == standing.ahead => ", all its own app's,".into(),
        own => format!(", {own} of them its own app's,"),
    };
    match (standing.ahead, standing.apps) {
        (0, _) => "nobody stood".into(),
        (1, _) => format!("1 call{} stood", if own.is_empty() { "" } else { " of its own app" }),
        (ahead, 1) => format!("{ahead} calls of 1 app{own} stood"),
        (ahead, apps) => format!("{ahead} calls of {apps} apps{own} stood"),
    }
}

/// How the attempts ended: "503, 200".
fn ends(entry: &Entry) -> String {
    let end = |tried: &Try| match (tried.status, tried.code) {
        (Some(status), _) => status.as_str().to_owned(),
        (None, Some(code)) => code.as_str().to_owned(),
        (None, None) => "no answer".to_owned(),
    };
    entry.timeline.tries().iter().map(end).collect::<Vec<_>>().join(", ")
}

/// A time for people.
fn span(time: Duration) -> String {
    match time {
        time if time >= Duration::from_secs(1) => format!("{:.3} s", time.as_secs_f64()),
        time if time >= Duration::from_millis(10) => format!("{:.0} ms", time.as_secs_f64() * 1e3),
        time => format!("{:.3} ms", time.as_secs_f64() * 1e3),
    }
}
