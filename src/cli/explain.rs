//! `tollgate explain`: asks the admin port of a running gateway why a call was slow.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{failed, runtime};
use crate::history::{CallDocument, CallEvent};
use crate::ids::RandomId;
use crate::terminal::{complain, say};

/// The variable with the key. On the command line, the key would show in the list of processes.
const KEY: &str = "TOLLGATE_ADMIN_KEY";
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of an answer that are read. The admin port never sends as many.
const LONGEST: usize = 8 << 20;
/// Columns of the longest bar.
const BAR: f64 = 30.0;

/// The arguments of the command.
#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// The Tollgate-Call-Id of the call; without it the slowest of the last calls are listed.
    id: Option<RandomId>,
    /// The address of the gateway's admin port; its key is read from TOLLGATE_ADMIN_KEY.
    #[arg(long, value_name = "ADDR", env = "TOLLGATE_ADMIN", default_value = "127.0.0.1:9091", value_parser = crate::address::parse)]
    admin: SocketAddr,
    /// Print the gateway's answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Listed {
    kept: String,
    calls: Vec<CallDocument>,
}

/// Prints one call, or the slowest ones.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let Ok(key) = std::env::var(KEY) else {
        complain(&format!("{KEY} is not set: `tollgate keys new --admin` makes a key"));
        return ExitCode::from(2);
    };
    let path = match args.id {
        Some(id) => format!("/api/calls/{id}"),
        None => "/api/calls?sort=slowest&limit=10".to_owned(),
    };
    let asked = runtime().map_err(|error| error.to_string()).and_then(|runtime| {
        let asking = async { timeout(PATIENCE, ask(args.admin, &path, &key)).await };
        runtime.block_on(asking).map_err(|_| "no answer within 5 s".to_owned())?
    });
    match asked {
        Ok((StatusCode::OK, body)) => show(args, &body),
        Ok((status, body)) => {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            let detail = problem["detail"].as_str().unwrap_or("it is no admin port");
            complain(&format!("{} answers {}: {detail}", args.admin, status.as_u16()));
            ExitCode::FAILURE
        }
        Err(reason) => {
            complain(&format!("{} (TOLLGATE_ADMIN) does not answer: {reason}", args.admin));
            ExitCode::FAILURE
        }
    }
}

async fn ask(admin: SocketAddr, path: &str, key: &str) -> Result<(StatusCode, Bytes), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let stream = TcpStream::connect(admin).await.map_err(|error| text(&error))?;
    let request = Request::get(path)
        .header(header::HOST, admin.to_string())
        .header("x-api-key", key)
        .body(Empty::<Bytes>::new())
        .map_err(|_| format!("{KEY} can't be sent in a header"))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST).collect().await;
    connection.abort();
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}

fn show(args: &ExplainArgs, body: &[u8]) -> ExitCode {
    let shown = if args.json {
        serde_json::from_slice::<Value>(body).map(|value| super::pretty(&value))
    } else if args.id.is_some() {
        serde_json::from_slice::<CallDocument>(body).map(|call| one(&call))
    } else {
        serde_json::from_slice::<Listed>(body).map(|listed| list(&listed))
    };
    match shown {
        Ok(text) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// A call for people.
fn one(call: &CallDocument) -> String {
    let none = "–";
    let or = |value: &Option<String>| value.clone().unwrap_or_else(|| none.into());
    let status = call.status.map_or_else(|| none.into(), |status| status.to_string());
    let mut text = format!("{}\n\n", call.why);
    let _ = writeln!(text, "  call        {}  {}", call.call_id, call.at);
    let _ =
        writeln!(text, "  who         {} / {}, key {}", call.tenant, call.app, or(&call.key_id));
    let _ = writeln!(
        text,
        "  what        {} {} through {}, lane {}",
        call.method,
        or(&call.operation),
        or(&call.connection),
        or(&call.lane)
    );
    let _ = writeln!(
        text,
        "  ended       {status} {}{}, {} octets in, {} out",
        call.code,
        call.outcome.as_ref().map(|outcome| format!(" ({outcome})")).unwrap_or_default(),
        call.bytes_in,
        call.bytes_out
    );
    let extras = [("cache", &call.cache), ("key", &call.key)];
    for (name, value) in extras {
        let _ = value.iter().try_for_each(|value| writeln!(text, "  {name:<11} {value}"));
    }
    text.push('\n');
    for event in &call.timeline {
        let _ = writeln!(text, "{:>12.3} ms  {}", event.at_ms, step(event));
    }
    text.push('\n');
    for part in &call.parts {
        let filled = "█".repeat(columns(part.share).max(1));
        let (name, percent) = (&part.part, part.share * 100.0);
        let _ = writeln!(text, "  {name:<13}{:>12.3} ms {percent:>5.1} %  {filled}", part.ms);
    }
    text
}

/// A share of 0 to 1, in columns.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the length of the bar"
)]
fn columns(share: f64) -> usize {
    (share.clamp(0.0, 1.0) * BAR).round() as usize
}

/// One line of the timeline.
fn step(event: &CallEvent) -> String {
    let mut words = vec![event.event.clone()];
    words.extend(event.attempt.map(|nth| format!("try {nth}")));
    words.extend(event.status.map(|status| status.to_string()));
    words.extend(event.code.clone());
    if let (Some(ahead), Some(apps)) = (event.ahead, event.ahead_apps) {
        let own = event.ahead_own.unwrap_or_default();
        words.push(format!("behind {ahead} calls ({own} of its own) of {apps} apps"));
    }
    words.extend(event.bound.as_ref().map(|bound| match &event.pool {
        Some(pool) => format!("bound by {bound} of {pool}"),
        None => format!("bound by {bound}"),
    }));
    words.extend(event.expected_ms.map(|ms| format!("expected {ms} ms")));
    words.extend(event.retry_after_ms.map(|ms| format!("told to come back in {ms} ms")));
    words.join(", ")
}

/// The slowest calls, one line for each.
fn list(listed: &Listed) -> String {
    let mut text = String::new();
    for call in &listed.calls {
        let operation = call.operation.as_deref().unwrap_or("–");
        let _ = writeln!(
            text,
            "{}  {:>11.3} ms  {} / {}  {operation}  {}\n    {}",
            call.call_id, call.total_ms, call.tenant, call.app, call.code, call.why
        );
    }
    let _ = write!(text, "{}", listed.kept);
    text
}
