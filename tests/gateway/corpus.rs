//! An own corpus of requests, written from RFC 9112, 9110, 9113 and 3986: what the gateway must make of each.
//!
//! Each has a connection of its own, once in plain text and once over TLS. The simulator behind the gateway records
//! what it saw.

mod case;
mod chunks;
mod connections;
mod fields;
mod frames;
mod hosts;
mod lengths;
mod lines;
mod port;
mod prefaces;
mod streams;
mod targets;
mod wire;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use self::case::{Case, Want};
use self::port::{Io, Port};
use self::wire::{Heard, Who};
use crate::rig::Rig;

/// Behind each case: whoever reads it as anything else has lost count.
const NEXT: &[u8] = b"GET /.tollgate/health HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";

/// Fields that belong to one hop, or to the gateway alone.
const HOP: [&str; 10] = [
    "x-api-key",
    "x-hop",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
];

/// An answer, taken apart by RFC 9112; what is none has the status 0.
#[derive(Debug)]
struct Answer {
    status: u16,
    closes: bool,
    body: Vec<u8>,
}

fn all() -> Vec<&'static Case> {
    let files = [
        lines::CASES,
        targets::CASES,
        hosts::CASES,
        fields::CASES,
        lengths::CASES,
        chunks::CASES,
        connections::CASES,
    ];
    files.into_iter().flatten().collect()
}

/// What the vendor saw since there were `before`: `METHOD target body`, without a blank at the end where there is
/// no content.
fn seen(rig: &Rig, before: usize) -> Vec<String> {
    let arrived = crate::support::arrived(&rig.courier);
    let new = arrived.iter().skip(before);
    new.map(|call| {
        for (name, _) in &call.headers {
            assert!(!HOP.contains(&&*name.to_lowercase()), "{name} went on");
        }
        let body = String::from_utf8_lossy(&call.body);
        let content = if body.is_empty() && call.method != "POST" { "" } else { " " };
        format!("{} {}{content}{body}", call.method, call.target)
    })
    .collect()
}

/// All that comes until the gateway closes; `None` if it does neither answer nor close. `stops`: the client says that it
/// sends no more.
async fn answers(mut socket: Box<dyn Io>, octets: &[u8], stops: bool) -> Option<Vec<u8>> {
    // The gateway may close before all is sent.
    let _ = socket.write_all(octets).await;
    let _ = socket.flush().await;
    if stops {
        let _ = socket.shutdown().await;
    }
    let mut text = Vec::new();
    // A reset behind an answer is a close as well.
    let reading = timeout(Duration::from_secs(5), socket.read_to_end(&mut text)).await;
    reading.is_ok().then_some(text)
}

/// Takes the answers in `text` apart; one to HEAD has no body.
fn parsed(text: &[u8], is_head: bool) -> Vec<Answer> {
    let (mut rest, mut answers) = (text, Vec::new());
    while !rest.is_empty() {
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            answers.push(Answer { status: 0, closes: true, body: rest.to_vec() });
            break;
        };
        let end = end + 4;
        let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
        rest = &rest[end..];
        let status: u16 = head[9..12].parse().unwrap();
        if status == 100 {
            continue;
        }
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = field("content-length: ").map(|length| length.trim().parse().unwrap());
        let empty = (is_head && answers.is_empty()) || matches!(status, 204 | 304);
        let body = match length {
            _ if empty => 0,
            Some(length) => length,
            None if field("transfer-encoding: ").is_some() => chunked(rest),
            None => rest.len(),
        };
        let closes = field("connection: ").is_some_and(|value| value.contains("close"));
        answers.push(Answer { status, closes, body: rest[..body].to_vec() });
        rest = &rest[body..];
    }
    answers
}

/// Octets of a chunked body.
fn chunked(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let line = text[at..].windows(2).position(|two| two == b"\r\n").unwrap();
        let size = str::from_utf8(&text[at..at + line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        at += line + 2 + size + 2;
        if size == 0 {
            return at;
        }
    }
}

/// What is wrong with what came of `case`.
fn wrong(case: &Case, answers: &[Answer], seen: &[String]) -> Result<(), String> {
    let asked = answers.last().is_some_and(|last| last.status == 200 && last.body == b"ok\n");
    let own = &answers[..answers.len() - usize::from(asked)];
    if own.iter().rev().skip(1).any(|answer| answer.closes) {
        return Err("an answer behind the last one".to_owned());
    }
    let served = |wanted: &[&str]| seen == wanted && own.len() == wanted.len();
    let refused =
        |statuses: &[u16]| seen.is_empty() && own.len() == 1 && statuses.contains(&own[0].status);
    let fine = match case.want {
        Want::Sees(wanted) => served(wanted) && asked,
        Want::Last(wanted) => served(wanted) && !asked,
        Want::No(statuses) => refused(statuses),
        Want::Shut(statuses) => refused(statuses) && !asked,
        Want::May(wanted, statuses) => served(&[wanted]) || refused(statuses),
        Want::Closes(wanted, statuses) => (served(&[wanted]) || refused(statuses)) && !asked,
        Want::Half(statuses) => {
            seen.is_empty()
                && own.len() <= 1
                && own.iter().all(|answer| statuses.contains(&answer.status))
        }
    };
    if fine { Ok(()) } else { Err(format!("{:?}, next {asked}", case.want)) }
}

/// What is wrong with the cases over HTTP/1.1.
async fn problems_h1(port: &Port) -> Vec<String> {
    let rig = &port.rig;
    let mut problems = Vec::new();
    for case in all() {
        let before = crate::support::arrived(&rig.courier).len();
        let mut octets = case.octets(&rig.setup.acme);
        let is_head = octets.starts_with(b"HEAD ");
        let stops = matches!(case.want, Want::Half(_));
        if !stops {
            octets.extend_from_slice(NEXT);
        }
        let Some(text) = answers(port.connect(b"http/1.1").await, &octets, stops).await else {
            problems.push(format!("{}: the gateway waits", case.name));
            continue;
        };
        let (answers, seen) = (parsed(&text, is_head), seen(rig, before));
        if let Err(what) = wrong(case, &answers, &seen) {
            let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
            problems.push(format!("{}: {what}, but {statuses:?}, vendor {seen:?}", case.name));
        }
    }
    problems
}

#[tokio::test]
async fn requests_over_http_1_1_are_read_as_the_rfcs_have_them() {
    let problems = problems_h1(&Port::open(false).await).await;
    assert!(problems.is_empty(), "{} of them:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn requests_over_http_1_1_and_tls_are_read_as_in_plain_text() {
    let problems = problems_h1(&Port::open(true).await).await;
    assert!(problems.is_empty(), "{} of them:\n{}", problems.len(), problems.join("\n"));
}

/// What is wrong with what came of a case over HTTP/2.
fn wrong_h2(want: wire::Want, heard: &Heard, seen: &[String]) -> Result<(), String> {
    use wire::Want;
    let served = |wanted: &[&str]| {
        let mut seen: Vec<&str> = seen.iter().map(String::as_str).collect();
        seen.sort_unstable();
        seen == wanted && heard.reset.is_empty() && heard.next()
    };
    let refused = heard.answered.get(&1).is_some_and(|status| *status >= 400);
    let no = || seen.is_empty() && (refused || !heard.reset.is_empty() || heard.error());
    let one = seen.len() <= 1;
    let fine = match want {
        Want::Sees(wanted) => served(wanted) && !heard.error(),
        Want::No => no(),
        Want::May(wanted) => served(wanted) || no(),
        Want::Ends => one && heard.error() && !heard.next(),
        Want::Resets => one && (!heard.reset.is_empty() || heard.error()),
        Want::Ignored => seen.is_empty() && heard.next() && !heard.error(),
    };
    if fine { Ok(()) } else { Err(format!("{want:?}")) }
}

/// What is wrong with the cases over HTTP/2.
async fn problems_h2(port: &Port) -> Vec<String> {
    let (rig, who) = (&port.rig, port.who());
    let mut problems = Vec::new();
    for case in streams::cases(who).into_iter().chain(frames::cases(who)) {
        let before = crate::support::arrived(&rig.courier).len();
        let said = (&wire::preface()[..], &case.octets[..]);
        let heard = wire::hear(port.connect(b"h2").await, said, who, case.want).await;
        let seen = seen(rig, before);
        if let Err(what) = wrong_h2(case.want, &heard, &seen) {
            problems.push(format!("{}: {what}, but {heard:?}, vendor {seen:?}", case.name));
        }
    }
    problems
}

#[tokio::test]
async fn frames_of_http_2_are_read_as_the_rfcs_have_them() {
    let problems = problems_h2(&Port::open(false).await).await;
    assert!(problems.is_empty(), "{} of them:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn frames_of_http_2_over_tls_are_read_as_in_plain_text() {
    let problems = problems_h2(&Port::open(true).await).await;
    assert!(problems.is_empty(), "{} of them:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn there_are_250_cases_at_least_60_of_them_over_http_2_each_with_a_name_of_its_own() {
    let mut names: Vec<_> = all().iter().map(|case| case.name).collect();
    let first = names.len();
    names.extend(streams::cases(Who::default()).iter().map(|case| case.name));
    names.extend(frames::cases(Who::default()).iter().map(|case| case.name));
    let (count, second) = (names.len(), names.len() - first);
    println!("{first} over HTTP/1.1, {second} over HTTP/2");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 250 && second >= 60, "{count}, {second}");
}
