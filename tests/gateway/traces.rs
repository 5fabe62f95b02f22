//! Traces: which spans a call leaves, what they say, which calls are kept, whose trace they are in.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Request};
use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use simulator::{Answer as Faulty, Effect, Fault, When, Wire};
use tollgate::call::StreamBody;
use tollgate::telemetry::traces::Traces;
use tollgate::telemetry::traces::table::{self, SpanPart};

use crate::support::{Setup, Stack, request};
use crate::time::slow;

pub(crate) const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SEND: &str =
    "{\"message\":{\"to\":{\"user_id\":\"u\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}";

/// The spans of each kept call, call by call.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Vec<Vec<SpanData>>>>);

impl Spans {
    pub(crate) fn stack(&self, setup: &Setup) -> Stack {
        let spans = self.0.clone();
        let traces = Traces::into(move |call| spans.lock().unwrap().push(call));
        let courier = simulator::Server::new(simulator::Options::default());
        Stack::telling(setup, courier, Some(traces)).unwrap()
    }

    /// The spans of the calls since it was asked last.
    pub(crate) fn take(&self) -> Vec<Vec<SpanData>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The spans of the only call since.
    pub(crate) fn only(&self) -> Vec<SpanData> {
        let mut calls = self.take();
        assert_eq!(calls.len(), 1);
        calls.remove(0)
    }
}

pub(crate) fn tracing(settings: &str) -> (Setup, Stack, Spans) {
    let (setup, spans) = (Setup::new(&format!("[traces]\n{settings}\n")), Spans::default());
    let stack = spans.stack(&setup);
    (setup, stack, spans)
}

pub(crate) fn with(
    mut request: Request<StreamBody>,
    fields: &[(&'static str, &str)],
) -> Request<StreamBody> {
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    request
}

/// The next `times` calls meet `effect`.
fn next(stack: &Stack, times: u64, effect: Effect) {
    let when = When { times: Some(times), ..When::default() };
    stack.courier.with(|simulator| {
        simulator.faults().clear();
        simulator.faults().add(Fault { id: None, when, effect });
    });
}

fn status(status: u16) -> Effect {
    let answer = Faulty::Status { status, body: None, content_type: None, retry_after: None };
    Effect { answer: Some(answer), ..Effect::default() }
}

fn get(span: &SpanData, key: &str) -> Option<String> {
    let mut found = span.attributes.iter().filter(|attribute| attribute.key.as_str() == key);
    let value = found.next().map(|attribute| attribute.value.to_string());
    assert!(found.next().is_none(), "{key} is there twice");
    value
}

/// The attributes as `key=value`, sorted, without those that differ from run to run.
fn said(span: &SpanData) -> Vec<String> {
    let mut all: Vec<_> = span
        .attributes
        .iter()
        .filter(|attribute| attribute.key.as_str() != "tollgate.call_id")
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    all.sort();
    all
}

fn took(span: &SpanData) -> Duration {
    span.end_time.duration_since(span.start_time).unwrap()
}

/// One trace, one id each, all below the first, and no parent above it.
fn assert_one_trace(call: &[SpanData]) {
    let ids: HashSet<_> = call.iter().map(|span| span.span_context.span_id()).collect();
    let traces: HashSet<_> = call.iter().map(|span| span.span_context.trace_id()).collect();
    assert_eq!((ids.len(), traces.len()), (call.len(), 1));
    assert!(call.iter().all(|span| span.span_context.is_valid() && span.span_context.is_sampled()));
    assert_eq!(call[0].parent_span_id, opentelemetry::trace::SpanId::INVALID);
    let above = call[0].span_context.span_id();
    assert!(call[1..].iter().all(|span| span.parent_span_id == above));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_span_with_one_for_each_wait_and_each_try_below_it() {
    let (setup, stack, spans) = tracing("ratio = 1.0");
    let call = with(
        request("POST", "/send", &setup.acme, SEND),
        &[("x-simulator-latency-ms", "250"), ("idempotency-key", "order-1")],
    );
    let answer = stack.call(call).await;
    let call = spans.only();
    let [whole, wait, attempt] = &call[..] else { panic!("{call:#?}") };
    assert_eq!(
        (&*whole.name, &whole.span_kind, &whole.status),
        ("POST /send", &SpanKind::Server, &Status::Unset)
    );
    assert_eq!((&*wait.name, &wait.span_kind), ("queue", &SpanKind::Internal));
    assert_eq!((&*attempt.name, &attempt.span_kind), ("POST /send", &SpanKind::Client));
    assert_eq!(
        said(whole),
        [
            "http.request.method=POST",
            "http.response.status_code=202",
            "http.route=/send",
            "network.protocol.version=1.1",
            "tollgate.app=acme",
            "tollgate.attempts=1",
            "tollgate.code=ok",
            "tollgate.connection=acme-prod",
            "tollgate.key_use=given",
            "tollgate.lane=interactive",
            "tollgate.operation=messages.send",
            "tollgate.tenant=acme",
            "tollgate.time.gateway=0",
            "tollgate.time.queue=0",
            "tollgate.time.vendor=0.25",
            "url.scheme=http",
        ]
    );
    assert_eq!(get(whole, "tollgate.call_id").as_deref(), Some(answer.header("tollgate-call-id")));
    assert_eq!(said(wait), ["tollgate.lane=interactive"]);
    assert_eq!(
        said(attempt),
        [
            "http.request.method=POST",
            "http.response.status_code=202",
            "server.address=api.courier.com",
            "server.port=443",
            "url.template=/send",
        ]
    );
    assert_one_trace(&call);
    assert_eq!(stack.lines.last()["trace_id"], whole.span_context.trace_id().to_string());
    // Times are those of the one clock.
    assert_eq!(
        (took(whole), took(attempt), took(wait)),
        (Duration::from_millis(250), Duration::from_millis(250), Duration::ZERO)
    );
    assert_eq!(attempt.end_time, whole.end_time);
    assert_eq!((attempt.events.len(), &*attempt.events[0].name), (1, "tollgate.sent"));
    assert_eq!(attempt.events[0].timestamp, attempt.start_time);
}

#[tokio::test(start_paused = true)]
async fn each_try_tells_how_it_ended_and_each_wait_how_long_it_was() {
    let (setup, stack, spans) = tracing("ratio = 0.0");
    next(&stack, 1, status(503));
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert!(spans.take().is_empty(), "what came out well at last is not an error");
    let (setup, stack, spans) = tracing("ratio = 1.0");
    next(&stack, 1, Effect { wire: Some(Wire::Cut { after: 0 }), ..Effect::default() });
    let late = [("x-simulator-latency-ms", "250")];
    stack.call(with(request("GET", "/messages", &setup.acme, ""), &late)).await;
    let call = spans.only();
    let names: Vec<_> = call.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["GET /messages", "queue", "queue", "GET /messages", "GET /messages"]);
    let (first, second) = (&call[3], &call[4]);
    assert_eq!(get(first, "error.type").as_deref(), Some("vendor-unreachable"));
    assert_eq!(
        (get(first, "http.response.status_code"), &first.status),
        (None, &Status::error(""))
    );
    assert_eq!(get(second, "error.type"), None);
    assert_eq!(
        (get(first, "http.request.resend_count"), get(second, "http.request.resend_count")),
        (None, Some("1".into()))
    );
    assert_eq!(get(&call[0], "tollgate.attempts").as_deref(), Some("2"));
    assert!(first.end_time <= call[2].start_time && call[2].end_time <= second.start_time);
    assert_eq!([took(first), took(second)], [Duration::from_millis(250); 2]);
    assert_one_trace(&call);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_turn_is_as_long_as_it_was_and_a_refusal_has_its_rule() {
    let text = "[traces]\nratio = 1.0\n[quota]\ncalls = 2\nwindow = \"2s\"\nmax_wait = \"3s\"\ndepth = 1\napp_depth = 1\n";
    let (setup, spans) = (Setup::with_quota("", text), Spans::default());
    let stack = spans.stack(&setup);
    let one = || stack.call(request("GET", "/messages", &setup.acme, ""));
    tokio::join!(one(), one());
    assert!(spans.take().iter().flatten().all(|span| took(span) < Duration::from_millis(1)));
    let answers = tokio::join!(one(), one());
    let statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
    assert_eq!(statuses, [200, 429]);
    let calls = spans.take();
    let [refused, waited] = &calls[..] else { panic!("{}", calls.len()) };
    assert!(took(&waited[1]) > Duration::from_secs(2), "{waited:#?}");
    assert_eq!(waited[1].end_time, waited[2].start_time);
    let millis = stack.lines.last()["queue_ms"].as_f64().unwrap();
    assert!((took(&waited[1]).as_secs_f64() * 1e3 - millis).abs() < 0.1, "{millis}");
    assert_eq!(get(&refused[1], "tollgate.refused").as_deref(), Some("queue-full"));
    assert_eq!((refused.len(), took(&refused[1])), (2, Duration::ZERO));
    assert_eq!(get(&refused[0], "tollgate.code").as_deref(), Some("queue-full"));
    assert_eq!(get(&refused[0], "http.response.status_code").as_deref(), Some("429"));
    assert_eq!((get(&refused[0], "error.type"), &refused[0].status), (None, &Status::Unset));
}

#[tokio::test(start_paused = true)]
async fn what_the_cache_did_is_an_event_at_its_time() {
    let (setup, stack, spans) = tracing("ratio = 1.0");
    let read = || stack.call(request("GET", "/brands", &setup.acme, ""));
    read().await;
    tokio::time::advance(Duration::from_secs(5)).await;
    read().await;
    let calls = spans.take();
    let done: Vec<_> = calls.iter().map(|call| get(&call[0], "tollgate.cache").unwrap()).collect();
    assert_eq!(done, ["stored", "hit"]);
    let hit = &calls[1];
    assert_eq!(hit.len(), 1, "no wait and no try");
    let event = &hit[0].events[0];
    assert_eq!((&*event.name, event.timestamp), ("tollgate.cache", hit[0].start_time));
    let age = event.attributes.iter().find(|a| a.key.as_str() == "tollgate.cache.age").unwrap();
    assert!(matches!(age.value, Value::F64(age) if (4.9..6.0).contains(&age)), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn errors_and_slow_calls_are_kept_at_ratio_0_and_nothing_else() {
    let (setup, stack, spans) = tracing("ratio = 0.0\nslow = \"2s\"");
    let call = |method, target, body, fields: &[(&'static str, &str)]| {
        stack.call(with(request(method, target, &setup.acme, body), fields))
    };
    call("GET", "/messages", "", &[]).await;
    call("GET", "/messages", "", &[("x-simulator-latency-ms", "1900")]).await;
    call("GET", "/profiles/nobody", "", &[]).await;
    call("GET", "/nowhere", "", &[]).await;
    stack.call(request("GET", "/messages", "tg_k1_wrong", "")).await;
    assert_eq!(spans.take().len(), 0, "fine, quick, Courier's own 404, refused, nobody's");
    assert!(stack.lines.all().iter().all(|line| line["trace_id"].is_null()));
    call("GET", "/messages", "", &[("x-simulator-latency-ms", "2100")]).await;
    assert_eq!(get(&spans.only()[0], "tollgate.code").as_deref(), Some("ok"), "slow");
    next(&stack, 9, status(500));
    assert_eq!(
        call("POST", "/bulk", "{\"message\":{\"event\":\"e\"}}", &[]).await.status.as_u16(),
        500
    );
    let broken = spans.only();
    assert_eq!(
        (get(&broken[0], "error.type").as_deref(), &broken[0].status),
        (Some("500"), &Status::error(""))
    );
    assert_eq!(get(&broken[0], "tollgate.code").as_deref(), Some("ok"));
}

#[tokio::test(start_paused = true)]
async fn the_ratio_keeps_its_part() {
    let (setup, stack, spans) = tracing("ratio = 0.3");
    for _ in 0..600 {
        stack.call(request("GET", "/brands", &setup.acme, "")).await;
    }
    // Ten standard deviations: wrong once in 10^22 runs.
    assert!((70..290).contains(&spans.take().len()));
}

#[tokio::test(start_paused = true)]
async fn without_a_collector_nothing_is_made_and_the_line_has_the_clients_trace() {
    let setup = Setup::new("[traces]\nratio = 1.0\n");
    let stack = Stack::new(&setup);
    let call = with(request("GET", "/messages", &setup.acme, ""), &[("traceparent", PARENT)]);
    stack.call(call).await;
    assert_eq!(stack.lines.last()["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert!(stack.lines.last()["trace_id"].is_null());
}

/// Calls of many kinds: together they leave every attribute of the table.
async fn tour(private: &str) -> Vec<SpanData> {
    let text = "[traces]\nratio = 1.0\ncontext = \"parent\"\n[quota]\ncalls = 30\nmax_wait = \"1s\"\n[vendor]\nhard_limit = \"20s\"\n";
    let (setup, spans) = (Setup::with_quota("", text), Spans::default());
    let stack = spans.stack(&setup);
    let fields = [
        ("x-request-id", private),
        ("x-stainless-lang", private),
        ("user-agent", private),
        ("x-forwarded-for", private),
        ("referer", private),
        ("traceparent", PARENT),
        ("baggage", private),
    ];
    let call = |method: &'static str, target: String, body: String| {
        let call = with(request(method, &target, &setup.acme, &body), &fields);
        stack.call(call)
    };
    let body = format!("{{\"profile\":{{\"email\":\"{private}\"}}}}");
    call("POST", format!("/profiles/{private}?q={private}"), body.clone()).await;
    call("GET", format!("/profiles/{private}"), String::new()).await;
    call("GET", format!("/no/such/{private}"), String::new()).await;
    call("GET", format!("/c/{private}/brands"), String::new()).await;
    stack.call(with(request("GET", "/brands", private, ""), &fields)).await;
    for _ in 0..2 {
        call("GET", "/brands".into(), String::new()).await;
        let send =
            with(request("POST", "/send", &setup.acme, SEND), &[("idempotency-key", private)]);
        stack.call(send).await;
    }
    let second = Duration::from_secs(1);
    let late =
        request("PUT", "/lists/late", &setup.acme, "").map(|_| slow("{\"name\":\"a\"}", second));
    stack.call(late).await;
    let odd = with(request("GET", "/brands", &setup.acme, ""), &fields);
    let (mut head, odd) = odd.into_parts();
    head.method = private.replace(['@', '.'], "-").parse().unwrap();
    stack.call(Request::from_parts(head, odd)).await;
    next(&stack, 9, Effect { wire: Some(Wire::Cut { after: 0 }), ..Effect::default() });
    call("POST", "/bulk".into(), "{\"message\":{\"event\":\"e\"}}".into()).await;
    call("GET", format!("/messages/{private}"), String::new()).await;
    stack.courier.with(|simulator| simulator.faults().clear());
    let burst = (0..40).map(|_| call("GET", "/messages".into(), String::new()));
    futures_util::future::join_all(burst).await;
    spans.take().into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn no_span_holds_a_path_a_query_a_body_a_secret_or_a_word_of_the_clients() {
    let spans = tour("private@example.com").await;
    assert!(spans.len() > 60);
    let text = format!("{spans:?}");
    for secret in ["private", "example.com", "token-of-acme", "tg_acme"] {
        assert!(!text.contains(secret), "{secret} is in {text:.2000}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_attribute_is_in_the_table_and_every_row_of_the_table_occurs() {
    let mut seen = HashSet::new();
    for span in tour("u-1").await {
        let part = match span.span_kind {
            SpanKind::Server => SpanPart::Call,
            SpanKind::Client => SpanPart::Attempt,
            _ => SpanPart::Wait,
        };
        seen.extend(span.attributes.iter().map(|attribute| (part, attribute.key.to_string())));
        for event in span.events {
            let part =
                SpanPart::ALL.into_iter().rev().find(|part| *part.name() == *event.name).unwrap();
            seen.insert((part, String::new()));
            seen.extend(event.attributes.iter().map(|attribute| (part, attribute.key.to_string())));
        }
    }
    seen.retain(|(_, key)| !key.is_empty());
    let table: HashSet<_> = table::TABLE
        .iter()
        .flat_map(|row| row.on.iter().map(|part| (*part, row.key.to_owned())))
        .collect();
    let (unknown, unseen): (Vec<_>, Vec<_>) =
        (seen.difference(&table).collect(), table.difference(&seen).collect());
    assert!(
        unknown.is_empty() && unseen.is_empty(),
        "not in the table {unknown:?}, never seen {unseen:?}"
    );
}

/// `docs/traces.md` as it must be; `UPDATE=1` writes it.
#[test]
fn the_page_about_traces_says_what_the_code_does() {
    let (path, text) = ("docs/traces.md", table::page());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "{path} is not what the code says: run the test once with UPDATE=1");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_an_error() {
    let (setup, stack, spans) = tracing("ratio = 0.0");
    let answer = Some(Faulty::Large { bytes: 100_000 });
    next(&stack, 1, Effect { answer, wire: Some(Wire::Cut { after: 9_000 }), ..Effect::default() });
    let reply = stack.pipeline.answer(request("GET", "/messages", &setup.acme, "")).await;
    let whole = http_body_util::BodyExt::collect(reply.into_body()).await;
    assert!(whole.is_err());
    let call = spans.only();
    assert_eq!(
        (get(&call[0], "error.type").as_deref(), &call[0].status),
        (Some("cut"), &Status::error(""))
    );
}
