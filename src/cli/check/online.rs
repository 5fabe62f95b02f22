//! `tollgate check --online`: is everything there that the gateway needs? Prints one line for each
//! question.
//!
//! Each connection makes one read call of the catalogue, which Courier counts.

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, Uri, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::catalog::{Access, Catalog, MethodPattern, Operation};
use crate::cli::{failed, runtime};
use crate::clock;
use crate::config::{BaseUrl, Config, Connection};
use crate::error::chain;
use crate::shared::SharedStore;
use crate::terminal::say;
use crate::upstream::{Dial as _, Dialer, Line};

/// If clocks are further apart, `Retry-After` dates and expiries are wrong.
const APART: Duration = Duration::from_secs(2);
/// A `Date` has whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// What was found: what is good, or else what is bad and what would be right.
type Finding = Result<String, String>;

/// Asks all questions about `config`, whose state folder was checked before. Exit code 1 if one
/// answer is bad.
pub(super) fn run(config: &Config) -> ExitCode {
    let mut all_good = true;
    let mut tell = |finding: Finding| match finding {
        Ok(good) => say(&format!("good: {good}")),
        Err(bad) => {
            all_good = false;
            say(&format!("bad: {bad}"));
        }
    };
    ports(config).into_iter().for_each(&mut tell);
    if let Some(dir) = config.state_dir() {
        tell(Ok(format!("state folder '{}' can be written", dir.display())));
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    runtime.block_on(shared(config)).into_iter().for_each(&mut tell);
    for (connection, url) in config.base_urls() {
        runtime.block_on(ask(config, connection, url)).into_iter().for_each(&mut tell);
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the ports can be taken.
fn ports(config: &Config) -> Vec<Finding> {
    let settings = &config.settings;
    let admin = (!config.admin.is_empty()).then_some(("admin.listen", settings.admin.listen));
    let ports = [("server.listen", settings.server.listen), ("ops.listen", settings.ops.listen)];
    // Held until all were tried, since one port may be in the way of another.
    let mut held = Vec::new();
    let free = |(key, address)| match TcpListener::bind(address) {
        Ok(listener) => {
            held.push(listener);
            Ok(format!("{key}: {address} is free"))
        }
        Err(error) => Err(format!(
            "{key}: {address} cannot be taken ({}): end who has it, which may be a running gateway, or write another",
            error.kind()
        )),
    };
    ports.into_iter().chain(admin).map(free).collect()
}

/// Whether the shared store can be reached and takes writes, if there is to be one.
async fn shared(config: &Config) -> Option<Finding> {
    let settings = config.store.clone()?;
    let (servers, limit) = (settings.url.to_string(), settings.timeout * 2);
    let store = SharedStore::open(settings, &Arc::default());
    let known = store.becomes(|status| status.connected || status.cause.is_some());
    let cause = match timeout(limit, known).await {
        Ok(status) if status.connected => {
            return Some(Ok(format!("shared.redis: {servers} is reached and takes writes")));
        }
        Ok(status) => status.cause.unwrap_or_default(),
        Err(_) => "no answer in time".into(),
    };
    Some(Err(format!(
        "shared.redis: {servers} can't be used: {cause}; correct [shared], or let this machine reach it"
    )))
}

/// Whether the host of `connection` can be reached, takes its token and has the same time.
async fn ask(config: &Config, connection: &Connection, url: &BaseUrl) -> Vec<Finding> {
    let name = format!("connection '{}'", connection.id);
    let host = format!("{}://{}", url.scheme(), url.authority());
    let limits = &config.settings.vendor;
    let opening = async {
        let uri: Uri = host.parse().map_err(|_| "it is no URL".to_owned())?;
        let dialer = Dialer::new(config.vendor_tls.clone());
        dialer.dial(uri).await.map_err(|error| chain(error.as_ref()))
    };
    let opened = timeout(limits.connect.get(), opening).await;
    let line = match opened.unwrap_or_else(|_| Err(format!("no answer within {}", limits.connect)))
    {
        Ok(line) => line,
        Err(reason) => {
            let advice = "correct base_url, or let this machine reach it";
            return vec![Err(format!("{name}: {host} is not reached: {reason}; {advice}"))];
        }
    };
    let mut findings = vec![Ok(format!("{name}: {host} is reached"))];
    let Some(row) = cheapest(&config.catalog) else {
        findings.push(Err(format!(
            "{name}: the catalogue has no read without parameters to try its token with: write one"
        )));
        return findings;
    };
    let asking = timeout(limits.first_byte.get(), send(config, connection, url, line, row));
    let before = clock::wall();
    let answer = match asking.await.unwrap_or_else(|_| Err("no answer in time".into())) {
        Ok(answer) => answer,
        Err(reason) => {
            findings.push(Err(format!(
                "{name}: {} got no answer: {reason}; is this the API, and http or https as it wants?",
                row.id
            )));
            return findings;
        }
    };
    findings.push(token(&name, connection, row, &answer));
    findings.push(clocks(&name, answer.headers(), before, clock::wall()));
    findings
}

/// The read that costs least and needs no parameters.
fn cheapest(catalog: &Catalog) -> Option<&Operation> {
    let rows = catalog.operations().iter().map(AsRef::as_ref);
    let simple = rows.filter(|row: &&Operation| {
        row.access == Access::Read
            && row.method == MethodPattern::Only(Method::GET)
            && !row.named
            && !row.path.contains('{')
    });
    // Every workspace has few brands.
    simple.min_by_key(|row| (row.own_cost(), row.named_pools().count(), &*row.id != "brands.list"))
}

async fn send(
    config: &Config,
    connection: &Connection,
    url: &BaseUrl,
    line: Line,
    row: &Operation,
) -> Result<Response<Incoming>, String> {
    let text = |error: hyper::Error| chain(&error);
    let token = config.tokens.get(&connection.id).ok_or("it has no token")?;
    let target = format!("{}{}", url.prefix(), row.path);
    let whole = format!("{}://{}{target}", url.scheme(), url.authority());
    let request = Request::get(if line.h2 { whole } else { target })
        .header(header::AUTHORIZATION, token.authorization())
        .header(header::USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    let request =
        if line.h2 { request } else { request.header(header::HOST, url.authority().as_str()) };
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    if line.h2 {
        let (mut sender, socket) =
            http2::handshake(TokioExecutor::new(), line.io).await.map_err(text)?;
        tokio::spawn(socket);
        sender.send_request(request).await.map_err(text)
    } else {
        let (mut sender, socket) = http1::handshake(line.io).await.map_err(text)?;
        tokio::spawn(socket);
        sender.send_request(request).await.map_err(text)
    }
}

/// What the answer says about the token.
fn token<B>(name: &str, connection: &Connection, row: &Operation, answer: &Response<B>) -> Finding {
    let (source, code) = (&connection.token, answer.status().as_u16());
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.starts_with("application/json"));
    match code {
        401 | 403 => Err(format!(
            "{name}: its token is refused ({code} to {}): put a valid one into {source}",
            row.id
        )),
        200..=299 if !is_json => Err(format!(
            "{name}: {} is answered with {code} and no JSON: is this the API, or something before it?",
            row.id
        )),
        200..=299 => Ok(format!("{name}: its token is taken ({code} to {})", row.id)),
        429 => {
            Ok(format!("{name}: its quota is used up now (429 to {}): its token was read", row.id))
        }
        404 => Err(format!(
            "{name}: {} is not there (404): correct base_url, which may have a path too many",
            row.id
        )),
        _ => Err(format!(
            "{name}: {} is answered with {code}, which says nothing of its token: try again later",
            row.id
        )),
    }
}

/// How far the other clock is off, as far as its whole seconds show.
fn clocks(name: &str, headers: &http::HeaderMap, before: SystemTime, after: SystemTime) -> Finding {
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return Err(format!(
            "{name}: its answer has no Date: the clocks can't be compared; is this the API?"
        ));
    };
    let ahead = date.duration_since(after).unwrap_or_default();
    let behind = before.duration_since(date + SECOND).unwrap_or_default();
    let apart = ahead.max(behind);
    if apart <= APART {
        return Ok(format!("{name}: its clock and this one agree"));
    }
    let word = if ahead > behind { "ahead of" } else { "behind" };
    Err(format!(
        "{name}: its clock is {} s {word} this one: let this machine's clock be set, by NTP for one",
        apart.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_two_seconds_apart_agree_and_others_do_not() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let answer = |date: SystemTime| {
            let mut headers = http::HeaderMap::new();
            headers.insert(header::DATE, httpdate::fmt_http_date(date).parse().unwrap());
            clocks("c", &headers, now, now + Duration::from_millis(10))
        };
        for good in [-3, 0, 2_i64] {
            let date = if good < 0 {
                now - Duration::from_secs(3)
            } else {
                now + Duration::from_secs(good.unsigned_abs())
            };
            assert!(answer(date).is_ok(), "{good}");
        }
        assert!(answer(now + Duration::from_secs(3)).unwrap_err().contains("ahead of this one"));
        assert!(answer(now - Duration::from_secs(4)).unwrap_err().contains("3 s behind"));
        assert!(clocks("c", &http::HeaderMap::new(), now, now).is_err());
    }

    #[test]
    fn the_read_that_is_tried_is_one_that_every_token_may_make() {
        let catalog = Catalog::courier();
        assert_eq!(&*cheapest(&catalog).unwrap().id, "brands.list");
    }
}
