//! `tollgate usage`: how much each application called, with one line for each day, app and
//! connection.
//!
//! It reads the state folder of a gateway, which may be running. What it counted in the last
//! seconds may not be there yet.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgGroup;
use serde_json::{Map, Value, json};

use super::{default_config, refused};
use crate::clock;
use crate::config::Settings;
use crate::terminal::complain;
use crate::usage::book::{Counts, UsageRow};
use crate::usage::csv::csv;
use crate::usage::day::{Day, Period};
use crate::usage::folder::Folder;

/// The arguments of the command.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("period").args(["month", "day"])))]
#[command(group(ArgGroup::new("form").args(["csv", "json"])))]
pub(super) struct UsageArgs {
    /// The month in UTC, such as 2026-11 [default: this month].
    #[arg(long, value_parser = Period::month)]
    month: Option<Period>,
    /// The day in UTC, such as 2026-11-24.
    #[arg(long, value_parser = Period::day)]
    day: Option<Period>,
    /// Write comma-separated values with a header row.
    #[arg(long)]
    csv: bool,
    /// Write JSON.
    #[arg(long)]
    json: bool,
    /// The state folder of the gateway; with it, the configuration is not read.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The configuration that names the state folder, else $STATE_DIRECTORY names it [default: as
    /// for serve].
    #[arg(long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    config: Option<PathBuf>,
}

/// The lines of a period, in order, and what is missing.
#[derive(Default)]
struct Report {
    lines: Vec<(Day, UsageRow)>,
    missing: Vec<String>,
}

/// Prints the report. Exit code 1 if there is no folder, or if something in it can't be read.
pub(super) fn run(args: UsageArgs) -> ExitCode {
    let path = match &args.state {
        Some(path) => path.clone(),
        None => match of_the_service(args.config.as_deref()) {
            Some(path) => path,
            None => match configured(args.config.clone().unwrap_or_else(default_config)) {
                Ok(path) => path,
                Err(code) => return code,
            },
        },
    };
    let folder = Folder::of(&path);
    if !folder.exists() {
        complain(&format!(
            "'{}' has no usage: it is not the state folder of a gateway that has run",
            path.display()
        ));
        return ExitCode::FAILURE;
    }
    let this_month = || Period::this_month(clock::wall());
    let period = args.day.or(args.month).unwrap_or_else(this_month);
    let report = Report::read(&folder, &period);
    let text = match (args.csv, args.json) {
        (true, _) => csv(report.lines.iter().map(|(day, row)| (*day, row))),
        (_, true) => report.json(&period),
        _ => report.table(&period),
    };
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return ExitCode::FAILURE;
    }
    report.missing.iter().for_each(|missing| complain(missing));
    if report.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The state folder that the variable names, if no configuration could name another.
fn of_the_service(config: Option<&Path>) -> Option<PathBuf> {
    let none = config.is_none() && !default_config().exists();
    std::env::var_os("STATE_DIRECTORY").filter(|_| none).map(PathBuf::from)
}

/// The state folder that the configuration names.
fn configured(file: PathBuf) -> Result<PathBuf, ExitCode> {
    let settings = Settings::load(&file).map_err(|error| refused(&error))?;
    settings.state_dir().ok_or_else(|| {
        complain(&format!(
            "no state folder: say --state DIR, or dir under [state] in '{}'; a gateway without one counts no usage",
            file.display()
        ));
        ExitCode::FAILURE
    })
}

impl Report {
    fn read(folder: &Folder, period: &Period) -> Self {
        let mut report = Self::default();
        if let Err(error) = report.fill(folder, period) {
            report.missing.push(format!("usage can't be read: {error}"));
        }
        report
    }

    fn fill(&mut self, folder: &Folder, period: &Period) -> std::io::Result<()> {
        for day in folder.days()?.into_iter().filter(|day| period.contains(*day)) {
            match folder.read(day) {
                Ok(rows) => self.lines.extend(rows.into_iter().flatten().map(|row| (day, row))),
                Err(reason) => {
                    self.missing.push(format!("usage of {day} is missing: {reason}"));
                }
            }
        }
        for (day, file) in folder.set_aside_files()? {
            if period.contains(day) {
                let message = format!(
                    "usage of {day} is incomplete: what '{}' held is missing; remove it when it is of no use",
                    file.display()
                );
                self.missing.push(message);
            }
        }
        Ok(())
    }

    fn json(&self, period: &Period) -> String {
        let line = |(day, (who, counts)): &(Day, UsageRow)| {
            let mut line = Map::new();
            line.insert("day".into(), day.to_string().into());
            line.insert("tenant".into(), who.tenant.as_str().into());
            line.insert("app".into(), who.app.as_str().into());
            line.insert("connection".into(), who.connection.as_ref().map(|c| c.as_str()).into());
            let counts = Counts::TABLE.iter().zip(counts.values());
            line.extend(counts.map(|((name, _), count)| ((*name).into(), count.into())));
            Value::from(line)
        };
        let lines: Vec<Value> = self.lines.iter().map(line).collect();
        let (from, to) = (period.first().to_string(), period.last().to_string());
        let report =
            json!({ "from": from, "to": to, "complete": self.missing.is_empty(), "usage": lines });
        format!("{report:#}\n")
    }

    fn table(&self, period: &Period) -> String {
        if self.lines.is_empty() {
            return format!("no calls from {} to {}\n", period.first(), period.last());
        }
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        let mut total = Counts::default();
        for (day, (who, counts)) in &self.lines {
            let app = format!("{}/{}", who.tenant, who.app);
            let connection = who.connection.as_ref().map_or("-", |id| id.as_str());
            rows.push(cells([day.to_string(), app, connection.to_owned()], counts));
            total.add(counts);
        }
        rows.push(cells(["total".to_owned(), String::new(), String::new()], &total));
        aligned(&rows)
    }
}

/// The headings of the table.
const HEADINGS: [&str; 10] = [
    "day",
    "app",
    "connection",
    "calls",
    "errors",
    "refused",
    "saved",
    "attempts",
    "waits",
    "wait s",
];

fn cells(names: [String; 3], counts: &Counts) -> [String; 10] {
    let [day, app, connection] = names;
    let Counts { calls, errors, saved, attempts, waits, wait_us, .. } = counts;
    let seconds = format!("{}.{:03}", wait_us / 1_000_000, wait_us / 1_000 % 1_000);
    let [calls, errors, saved, attempts, waits, refused] =
        [calls, errors, saved, attempts, waits, &counts.refused()].map(u64::to_string);
    [day, app, connection, calls, errors, refused, saved, attempts, waits, seconds]
}

/// Columns as wide as their widest cell: names to the left, numbers to the right.
fn aligned(rows: &[[String; 10]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells =
            row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0..=2 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
        text += &cells.collect::<Vec<_>>().join("  ");
        text.push('\n');
    }
    text
}
