//! `tollgate cache`: what the cache saves; copies are thrown away, or bypassed for a time.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::{Temporary, bypass, reason};
use super::admin::{AdminArgs, Question, tell};
use super::text::{clean, table};
use crate::ids::ConnectionId;

/// The arguments of the command.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    command: Option<CacheCommand>,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(clap::Subcommand)]
enum CacheCommand {
    /// Throw copies away: all of a connection, those of a tag, or those of an operation.
    Purge {
        /// The connection.
        connection: ConnectionId,
        /// What the copies are of, such as brands.
        #[arg(long, conflicts_with = "operation")]
        tag: Option<String>,
        /// An operation, such as profiles.get.
        #[arg(long, value_name = "O")]
        operation: Option<String>,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        because: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Send all reads of a connection to Courier for a time; nothing is kept.
    Bypass {
        /// The connection.
        connection: ConnectionId,
        #[command(flatten)]
        change: Temporary,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Figures {
    bytes: u64,
    capacity: u64,
    saved_calls: u64,
    reads: u64,
    hit_rate: Option<f64>,
    operations: Vec<Row>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    operation: String,
    hits: u64,
    misses: u64,
    stale: u64,
    joined: u64,
    hit_rate: Option<f64>,
}

/// Shows the cache, or changes it.
pub(super) fn run(args: &CacheArgs) -> ExitCode {
    match &args.command {
        None => tell(&args.admin, &Question::get("/api/cache"), |figures| shown(&figures)),
        Some(CacheCommand::Bypass { connection, change }) => bypass(connection, change),
        Some(CacheCommand::Purge { connection, tag, operation, because, admin }) => {
            let mut document = json!({ "connection": connection.as_str(), "because": because });
            for (name, value) in [("tag", tag), ("operation", operation)] {
                value.iter().for_each(|value| document[name] = Value::from(value.as_str()));
            }
            tell(admin, &Question::post("/api/purge", document), |done: Value| {
                format!("purged: {}", clean(done["purged"].as_str().unwrap_or_default()))
            })
        }
    }
}

fn percent(rate: Option<f64>) -> String {
    rate.map_or_else(|| "–".into(), |rate| format!("{:.0} %", rate * 100.0))
}

fn shown(figures: &Figures) -> String {
    let Figures { bytes, capacity, saved_calls, reads, hit_rate, operations } = figures;
    let mut text = format!(
        "{saved_calls} calls saved of {reads} reads ({}), {} of {} KiB used\n",
        percent(*hit_rate),
        bytes.div_ceil(1024),
        capacity / 1024
    );
    if operations.is_empty() {
        return text;
    }
    let heads = ["operation", "hits", "misses", "stale", "joined", "hit rate"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(operations.iter().map(|row| {
        let counts = [row.hits, row.misses, row.stale, row.joined].map(|count| count.to_string());
        [vec![clean(&row.operation)], counts.to_vec(), vec![percent(row.hit_rate)]].concat()
    }));
    text.push('\n');
    text + &table(&rows)
}
