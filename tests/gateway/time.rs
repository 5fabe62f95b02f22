//! Where the time of a call went: all who tell it tell the same, to the microsecond.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use opentelemetry_sdk::trace::SpanData;
use serde_json::Value;
use simulator::{Answer as Faulty, Effect, Latency};
use tokio::time::sleep;
use tollgate::error::Cause;
use tollgate::telemetry::exposition::ExpositionFormat;

use crate::cache::inject;
use crate::support::{Setup, Stack, request};
use crate::traces::Spans;

/// A body of two pieces, of which the second takes `pause` to come.
pub(crate) fn slow(text: &'static str, pause: Duration) -> tollgate::call::StreamBody {
    let (one, two) = text.split_at(10);
    let pieces = stream::unfold(0, move |nth| async move {
        let piece = match nth {
            0 => one,
            1 => {
                sleep(pause).await;
                two
            }
            _ => return None,
        };
        Some((Ok::<_, Cause>(Frame::data(Bytes::from_static(piece.as_bytes()))), nth + 1))
    });
    tollgate::call::stream(StreamBody::new(pieces))
}

fn answers(ms: f64, status: Option<u16>) -> Effect {
    let answer = status.map(|status| Faulty::Status {
        status,
        body: None,
        content_type: None,
        retry_after: None,
    });
    Effect { answer, latency: Some(Latency::Fixed { ms }), ..Effect::default() }
}

/// Microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    queue: u128,
    vendor: u128,
    total: u128,
}

/// Of the rare parts, beside what is told everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rare {
    gateway: u128,
    upload: u128,
    backoff: u128,
}

fn micros(time: f64, per_second: f64) -> u128 {
    Duration::from_secs_f64((time / per_second * 1e6).round() / 1e6).as_micros()
}

/// A part of a header `Server-Timing`.
fn timed(header: &str, word: &str) -> u128 {
    let part = |part: &str| part.strip_prefix(word)?.strip_prefix(";dur=")?.parse().ok();
    header.split(", ").find_map(part).map_or(0, |ms| micros(ms, 1e3))
}

fn header(header: &str) -> (Told, Rare) {
    let part = |word| timed(header, word);
    let rare = Rare { gateway: part("gateway"), upload: part("upload"), backoff: part("backoff") };
    let (queue, vendor) = (part("queue"), part("vendor"));
    let total = queue + vendor + rare.gateway + rare.upload + rare.backoff;
    (Told { queue, vendor, total }, rare)
}

fn line(line: &Value) -> Told {
    let time = |name: &str| micros(line[name].as_f64().unwrap(), 1e3);
    Told { queue: time("queue_ms"), vendor: time("vendor_ms"), total: time("total_ms") }
}

/// What the attributes of a call's span say.
fn attributes(whole: &SpanData) -> (Told, Rare) {
    let time = |word: &str| {
        let key = format!("tollgate.time.{word}");
        let found = whole.attributes.iter().find(|one| one.key.as_str() == key);
        found.map_or(0, |one| micros(one.value.to_string().parse().unwrap(), 1.0))
    };
    let (queue, vendor) = (time("queue"), time("vendor"));
    let rare = Rare { gateway: time("gateway"), upload: time("upload"), backoff: time("backoff") };
    let total = queue + vendor + rare.gateway + rare.upload + rare.backoff;
    (Told { queue, vendor, total }, rare)
}

/// What the spans themselves show: the waits, the tries from their sending on, the whole.
fn drawn(call: &[SpanData]) -> Told {
    let from = |span: &SpanData, since| span.end_time.duration_since(since).unwrap().as_micros();
    let [whole, below @ ..] = call else { panic!("{call:#?}") };
    let (waits, tries): (Vec<_>, Vec<_>) = below.iter().partition(|span| span.name == "queue");
    Told {
        queue: waits.into_iter().map(|span| from(span, span.start_time)).sum(),
        vendor: tries.into_iter().map(|span| from(span, span.events[0].timestamp)).sum(),
        total: from(whole, whole.start_time),
    }
}

/// What the histograms hold after one call.
async fn metrics(stack: &Stack) -> Told {
    let page = stack.state.metrics_page(ExpositionFormat::OpenMetrics).await;
    let sum = |name: &str| {
        let of = format!("{name}_sum{{");
        let lines = page.lines().filter(|line| line.starts_with(&of));
        let sums = lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap());
        micros(sums.sum(), 1.0)
    };
    Told {
        queue: sum("tollgate_queue_wait_seconds"),
        vendor: sum("http_client_request_duration_seconds"),
        total: sum("http_server_request_duration_seconds"),
    }
}

/// What `tollgate explain` says.
fn explained(stack: &Stack, call_id: &str) -> (Told, Rare) {
    let call = stack.state.calls().find(call_id.parse().unwrap()).expect("it is kept").document();
    let part = |word: &str| {
        let of = call.parts.iter().filter(|share| share.part == word);
        of.map(|share| micros(share.ms, 1e3)).sum::<u128>()
    };
    let all: u128 = call.parts.iter().map(|share| micros(share.ms, 1e3)).sum();
    let told =
        Told { queue: part("queue"), vendor: part("vendor"), total: micros(call.total_ms, 1e3) };
    assert_eq!(all, told.total);
    let gateway = part("gateway") + part("connect");
    (told, Rare { gateway, upload: part("request"), backoff: part("pause") })
}

#[tokio::test(start_paused = true)]
async fn header_line_spans_metrics_and_explain_split_the_time_of_a_call_alike() {
    let setup = Setup::with_quota(
        "[traces]\nratio = 1.0\n",
        "[quota]\ncalls = 1\nwindow = \"4s\"\nmax_wait = \"60s\"\n",
    );
    let spans = Spans::default();
    let stack = spans.stack(&setup);
    inject(&stack, "lists.put", Some(1), answers(1250.0, Some(503)));
    inject(&stack, "lists.put", None, answers(250.0, None));
    let call = request("PUT", "/lists/a", &setup.acme, "")
        .map(|_| slow("{\"name\":\"a\"}", Duration::from_millis(700)));
    let answer = stack.call(call).await;
    assert!(answer.status.is_success(), "{:?} {:#?}", answer.body, stack.lines.last());
    let (told, rare) = header(answer.header("server-timing"));
    assert_eq!((told.vendor, rare.upload), (1_500_000, 700_000));
    assert!(rare.backoff > 0 && told.queue > 0, "{told:?} {rare:?}");
    let last = stack.lines.last();
    assert_eq!((&last["attempts"], line(&last)), (&2.into(), told));
    let call = spans.only();
    assert_eq!(drawn(&call), told);
    assert_eq!(attributes(&call[0]), (told, rare));
    assert_eq!(metrics(&stack).await, told);
    assert_eq!(explained(&stack, answer.header("tollgate-call-id")), (told, rare));
}
