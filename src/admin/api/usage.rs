//! How much each app called, day by day.

use http::StatusCode;
use serde::Serialize;

use super::{Ask, Page};
use crate::error::{Code, Error};
use crate::local_reply::{json, no_store, text};
use crate::runtime::State;
use crate::usage::book::{Counts, UsageRow};
use crate::usage::csv::csv;

/// Days that are shown, unless fewer or more are asked for.
const DAYS: u32 = 7;

#[derive(Serialize)]
struct Shown {
    days: Vec<DayShown>,
    /// What can't be read.
    missing: Vec<String>,
}

#[derive(Serialize)]
struct DayShown {
    day: String,
    rows: Vec<RowShown>,
}

#[derive(Serialize)]
struct RowShown {
    tenant: String,
    app: String,
    connection: Option<String>,
    #[serde(flatten)]
    counts: Counts,
}

/// The last `days`, as JSON or with `format=csv`.
pub(super) async fn usage(state: &State, ask: &Ask) -> Page {
    let [days, format] = ask.query.only(["days", "format"])?;
    let kept = 1..=crate::usage::day::KEPT;
    let days = match days {
        None => DAYS,
        Some(days) => days
            .parse()
            .ok()
            .filter(|days| kept.contains(days))
            .ok_or_else(|| Error::malformed("days must be a number from 1 to 62"))?,
    };
    let as_csv = match format {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(Error::malformed("format is json or csv")),
    };
    let none = || {
        let detail = "usage is not counted: the gateway has no state folder";
        Error::refused(Code::UnknownOperation, detail)
    };
    let report = state.usage(days).await.ok_or_else(none)?;
    let report = report.map_err(|error| {
        Error::refused(Code::Internal, format!("usage can't be read: {}", error.kind()))
    })?;
    if as_csv {
        let rows = report.days.iter().flat_map(|(day, rows)| rows.iter().map(|row| (*day, row)));
        return Ok(no_store(text(StatusCode::OK, "text/csv", csv(rows))));
    }
    let row = |(who, counts): UsageRow| RowShown {
        tenant: who.tenant.to_string(),
        app: who.app.to_string(),
        connection: who.connection.map(|id| id.to_string()),
        counts,
    };
    let day = |(day, rows): (crate::usage::day::Day, Vec<UsageRow>)| DayShown {
        day: day.to_string(),
        rows: rows.into_iter().map(row).collect(),
    };
    let days = report.days.into_iter().rev().map(day).collect();
    Ok(json(&Shown { days, missing: report.missing }))
}
