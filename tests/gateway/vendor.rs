//! The vendor's side: sockets, time limits, flights and what is known when no answer came.

use std::time::Duration;

use crate::support::{Setup, Stack, request};
use http_body_util::BodyExt;
use simulator::{Effect, Fault, Wire};
use tokio::time::{Instant, advance};
use tollgate::call::StreamBody;

fn faulty(effect: Effect) -> Fault {
    Fault { id: None, when: simulator::When::default(), effect }
}

fn wire(wire: Wire) -> Fault {
    faulty(Effect { wire: Some(wire), ..Effect::default() })
}

fn inject(stack: &Stack, fault: Fault) {
    stack.courier.with(|simulator| {
        simulator.faults().clear();
        simulator.faults().add(fault);
    });
}

/// An answer of some length, of a row whose answers are not kept here.
fn long(setup: &Setup) -> http::Request<StreamBody> {
    request("GET", "/brands", &setup.acme, "")
}

fn get(setup: &Setup) -> http::Request<StreamBody> {
    request("GET", "/messages", &setup.acme, "")
}

fn send(setup: &Setup) -> http::Request<StreamBody> {
    request(
        "POST",
        "/send",
        &setup.acme,
        "{\"message\":{\"to\":{\"user_id\":\"u\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}",
    )
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_never_answers_is_a_504_at_the_callers_deadline_outcome_unknown() {
    let setup = Setup::new("[server]\ndeadline = \"20s\"\n");
    let stack = Stack::new(&setup);
    inject(&stack, wire(Wire::BlackHole));
    let start = Instant::now();
    let answer = stack.call(get(&setup)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(20));
    assert_eq!((answer.status.as_u16(), answer.code()), (504, "vendor-timeout".into()));
    assert_eq!(answer.header("tollgate-outcome"), "unknown");
    assert_eq!(
        answer.header("proxy-status"),
        "tollgate; error=http_response_timeout; details=\"vendor-timeout\""
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_less_gets_its_answer_before_it_gives_up() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    inject(&stack, wire(Wire::BlackHole));
    for (field, value, seconds) in [
        ("x-stainless-timeout", "10", 9.0),
        ("x-stainless-read-timeout", "1.5", 0.75),
        ("x-stainless-timeout", "600", 55.0),
        ("x-stainless-timeout", "nan", 55.0),
        ("x-stainless-timeout", "-3", 55.0),
    ] {
        let mut call = get(&setup);
        call.headers_mut().insert(field, value.parse().unwrap());
        let start = Instant::now();
        assert_eq!(stack.call(call).await.status.as_u16(), 504);
        assert_eq!(start.elapsed().as_secs_f64(), seconds, "{field}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_attempts_own_limits_end_what_nobody_waits_for() {
    let setup = Setup::new("[server]\ndeadline = \"10s\"\n[vendor]\nfirst_byte = \"30s\"\n");
    let stack = Stack::new(&setup);
    inject(&stack, wire(Wire::BlackHole));
    assert_eq!(stack.call(send(&setup)).await.status.as_u16(), 504);
    assert_eq!(stack.state.flights().len(), 1, "the call goes on: the vendor may be working");
    let start = Instant::now();
    stack.state.flights().landed().await;
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_is_answered_and_logged_though_its_client_left() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    inject(
        &stack,
        faulty(Effect {
            latency: Some(simulator::Latency::Fixed { ms: 5_000.0 }),
            ..Effect::default()
        }),
    );
    let pipeline = stack.pipeline.clone();
    let call = send(&setup);
    let client = tokio::spawn(async move { pipeline.answer(call).await });
    advance(Duration::from_secs(1)).await;
    while stack.arrived().is_empty() {
        tokio::task::yield_now().await;
    }
    client.abort();
    assert!(client.await.is_err());
    assert!(stack.lines.all().is_empty(), "the call is not over");
    stack.state.flights().landed().await;
    let line = stack.lines.last();
    assert_eq!(
        (&line["code"], &line["attempts"], &line["status"]),
        (&"client-gone".into(), &1.into(), &serde_json::Value::Null)
    );
    assert!(line["vendor_ms"].as_f64().unwrap() >= 5_000.0, "{line}");
}

#[tokio::test(start_paused = true)]
async fn no_vendor_is_a_502_and_nothing_was_sent() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::new(&format!("[vendor]\nbase_url = \"http://{closed}\"\n"));
    let config = setup.config();
    let telemetry =
        tollgate::telemetry::Telemetry::new(tollgate::telemetry::logs::AccessLog::none());
    let state = tollgate::runtime::State::new(&config, telemetry).unwrap();
    let pipeline = tollgate::pipeline::Pipeline::build(&config, &state);
    let reply = pipeline.answer(send(&setup)).await;
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["tollgate-outcome"]),
        (502, &"not-sent".parse().unwrap())
    );
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(
        text.contains("vendor-unreachable")
            && !text.contains("127.0.0.1")
            && !text.contains("refused"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_or_makes_no_sense_is_a_502_outcome_unknown() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    use simulator::{Conflict, Malformed};
    let cases = [
        (Wire::Cut { after: 0 }, "vendor-unreachable"),
        (Wire::Cut { after: 20 }, "vendor-unreachable"),
        (Wire::MalformedHead { form: Malformed::Garbage }, "vendor-malformed"),
        (Wire::MalformedHead { form: Malformed::Status }, "vendor-malformed"),
        (Wire::MalformedHead { form: Malformed::NoColon }, "vendor-malformed"),
        (Wire::MalformedHead { form: Malformed::Huge }, "vendor-malformed"),
        (Wire::ConflictingFraming { form: Conflict::TwoLengths }, "vendor-malformed"),
        (Wire::ConflictingFraming { form: Conflict::BadLength }, "vendor-malformed"),
        (Wire::SwitchingProtocols, "vendor-malformed"),
    ];
    for (fault, code) in cases {
        inject(&stack, wire(fault.clone()));
        let answer = stack.call(send(&setup)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, code), "{fault:?}");
        assert_eq!(answer.header("tollgate-outcome"), "unknown", "{fault:?}");
        assert_eq!(stack.lines.last()["outcome"], "unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_in_its_body_is_not_passed_off_as_whole() {
    let setup = Setup::new("[cache]\noff = [\"brands.list\"]\n[vendor]\nbody_idle = \"7s\"\n");
    let stack = Stack::new(&setup);
    for fault in [
        Wire::Cut { after: 250 },
        Wire::ConflictingFraming { form: simulator::Conflict::Unfinished },
    ] {
        inject(&stack, wire(fault.clone()));
        let reply = stack.pipeline.answer(long(&setup)).await;
        assert_eq!(reply.status().as_u16(), 200);
        assert!(reply.into_body().collect().await.is_err(), "{fault:?}");
        assert_eq!(stack.lines.last()["code"], "cut");
    }
    inject(&stack, wire(Wire::SlowBody { bytes: 10, every_ms: 8_000 }));
    let reply = stack.pipeline.answer(long(&setup)).await;
    let start = Instant::now();
    assert!(
        reply.into_body().collect().await.is_err(),
        "the vendor stopped for longer than it may"
    );
    assert_eq!(start.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn an_answer_streams_as_it_comes() {
    let setup = Setup::new("[cache]\noff = [\"brands.list\"]\n");
    let stack = Stack::new(&setup);
    inject(&stack, wire(Wire::SlowBody { bytes: 100, every_ms: 1_000 }));
    let start = Instant::now();
    let mut body = stack.pipeline.answer(long(&setup)).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(1) || first.len() < 200,
        "the first piece came alone"
    );
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(first.len() + rest.len() > 200 && start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_used_again_until_it_is_old_or_rested_too_long() {
    let setup = Setup::new("[vendor]\nidle = \"30s\"\nmax_age = \"55s\"\n");
    let stack = Stack::new(&setup);
    let opened = || *stack.pipes.opened.lock().unwrap();
    // The second one rested 31 s, the third one is 56 s old.
    for (wait, sockets) in [(0, 1), (20, 1), (31, 2), (20, 2), (20, 2), (16, 3)] {
        advance(Duration::from_secs(wait)).await;
        assert_eq!(stack.call(get(&setup)).await.status.as_u16(), 200);
        assert_eq!(opened(), sockets, "after {wait} s more");
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_answer_was_not_read_to_its_end_is_not_used_again() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    inject(&stack, wire(Wire::SlowBody { bytes: 10, every_ms: 1_000 }));
    drop(stack.pipeline.answer(get(&setup)).await);
    assert_eq!(stack.lines.last()["code"], "client-gone");
    inject(&stack, faulty(Effect::default()));
    assert_eq!(stack.call(get(&setup)).await.status.as_u16(), 200);
    assert_eq!(*stack.pipes.opened.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_resting_socket_that_the_vendor_closed_costs_no_call() {
    let setup = Setup::new("");
    let options =
        simulator::Options { idle_close_ms: Some(10_000), ..simulator::Options::default() };
    let stack = Stack::with(&setup, options);
    for _ in 0..20 {
        assert_eq!(stack.call(send(&setup)).await.status.as_u16(), 202);
        advance(Duration::from_millis(10_000)).await;
    }
    assert_eq!(stack.arrived().len(), 20, "each send arrived once");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_header_fields_of_the_vendor_are_honest() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    inject(&stack, faulty(Effect { many_headers: 150, ..Effect::default() }));
    let answer = stack.call(get(&setup)).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-filler-149").is_empty()), (200, false));
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_the_vendors_hop_stays_there() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let fields = [
        ("Set-Cookie", "a=b"),
        ("Server", "nginx"),
        ("Keep-Alive", "timeout=5"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("ETag", "\"1\""),
        ("Location", "/x"),
    ];
    let headers = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    inject(&stack, faulty(Effect { headers, ..Effect::default() }));
    let answer = stack.call(get(&setup)).await;
    for gone in ["set-cookie", "server", "keep-alive", "connection", "x-hop"] {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    assert_eq!((answer.header("etag"), answer.header("location")), ("\"1\"", "/x"));
}

#[tokio::test(start_paused = true)]
async fn server_timing_parts_are_the_time_to_the_head() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    inject(
        &stack,
        faulty(Effect {
            latency: Some(simulator::Latency::Fixed { ms: 250.0 }),
            ..Effect::default()
        }),
    );
    let answer = stack.call(get(&setup)).await;
    assert_eq!(
        answer.header("server-timing"),
        "queue;dur=0.000, vendor;dur=250.000, gateway;dur=0.000"
    );
}
