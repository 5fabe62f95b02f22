//! Whom one copy answers: clients that ask for the same in other words, those whom the vendor tells
//! apart, and those that have it already.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderName, Request};
use simulator::{Effect, Latency};
use tokio::time::advance;
use tollgate::call::StreamBody;

use crate::cache::{get, inject, said, status, with};
use crate::support::{Answer, Setup, Stack, request};

/// Sets with weights, each of which HTTP libraries spell in ways of their own.
const CODINGS: [&str; 12] = [
    "gzip, deflate",
    "deflate, gzip",
    "gzip,deflate",
    "GZIP, DEFLATE",
    "gzip;q=1.0, deflate;q=1.0",
    "gzip;q=1,deflate",
    "deflate , gzip",
    "Deflate;q=1.000, Gzip",
    " gzip,  deflate",
    "gzip; q=1.0, deflate",
    "deflate,gzip;Q=1",
    "gzip, deflate,",
];

fn fields(fields: &[(&str, &str)]) -> Effect {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Effect { headers: fields.iter().map(owned).collect(), ..Effect::default() }
}

fn slow(mut effect: Effect) -> Effect {
    effect.latency = Some(Latency::Fixed { ms: 200.0 });
    effect
}

fn asking(
    mut request: Request<StreamBody>,
    fields: &[(&'static str, &str)],
) -> Request<StreamBody> {
    for (name, value) in fields {
        request.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
    }
    request
}

/// How many vendor calls `asks` are, one after the other, of a vendor that does `effect`.
async fn calls(setup: &Setup, effect: Effect, asks: &[Vec<(&'static str, &str)>]) -> usize {
    let stack = Stack::new(setup);
    inject(&stack, "brands.list", None, effect);
    for fields in asks {
        let answer = stack.call(asking(get("/brands", &setup.acme), fields)).await;
        assert_eq!(answer.status.as_u16(), 200);
    }
    stack.arrived().len()
}

#[tokio::test(start_paused = true)]
async fn twelve_spellings_of_one_set_are_one_copy_and_one_vendor_call() {
    let setup = Setup::new("");
    let spellings = |name| CODINGS.iter().map(|text| vec![(name, *text)]).collect::<Vec<_>>();
    let all = fields(&[("vary", "Accept-Encoding, Accept, Accept-Language")]);
    for name in ["accept-encoding", "accept-language"] {
        assert_eq!(calls(&setup, all.clone(), &spellings(name)).await, 1, "{name}");
    }
    let accept = ["text/html;q=0.5, a/b", "a/b,TEXT/HTML;q=0.50", "A/B;q=1, text/html; q=0.500"];
    let asks: Vec<_> = accept.iter().map(|text| vec![("accept", *text)]).collect();
    assert_eq!(calls(&setup, all.clone(), &asks).await, 1);
    let lines = [vec![("accept-encoding", "br"), ("accept-encoding", "gzip")]];
    let asks = [&lines[..], &[vec![("accept-encoding", "GZIP,br")]]].concat();
    assert_eq!(calls(&setup, all.clone(), &asks).await, 1, "two lines are one list");
    let others = ["gzip", "gzip, br", "gzip, br;q=0.5", "gzip, br;q=0", ""];
    let asks: Vec<_> = others.iter().map(|text| vec![("accept-encoding", *text)]).collect();
    assert_eq!(calls(&setup, all, &asks).await, 5, "other sets are other copies");
}

#[tokio::test(start_paused = true)]
async fn what_is_keyed_in_one_way_is_sent_in_that_way() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let mut sent = HashSet::new();
    for coding in CODINGS {
        // A copy answers nobody who asks for another one.
        let ask = [("accept-encoding", coding), ("cache-control", "no-cache")];
        stack.call(asking(get("/brands", &setup.acme), &ask)).await;
        let last = stack.arrived().pop().unwrap();
        let of = |(name, value): (String, String)| (name == "accept-encoding").then_some(value);
        sent.extend(last.headers.into_iter().filter_map(of));
    }
    assert_eq!((stack.arrived().len(), sent), (12, HashSet::from(["deflate, gzip".to_owned()])));
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_does_not_depend_on_needs_no_copy_of_its_own() {
    let setup = Setup::new("");
    let mut asks = vec![vec![]];
    for (name, values) in [
        ("accept-encoding", &["gzip", "br, gzip", "identity", "zstd;q=0.5", ""][..]),
        ("accept", &["*/*", "application/json", "text/html"]),
        ("accept-language", &["en", "de-DE, de;q=0.5", "*"]),
        ("origin", &["https://a.example", "https://b.example"]),
    ] {
        asks.extend(values.iter().map(|value| vec![(name, *value)]));
    }
    for vary in ["", "Origin", "origin, X-User", "Cookie, User-Agent"] {
        let effect = if vary.is_empty() { Effect::default() } else { fields(&[("vary", vary)]) };
        assert_eq!(calls(&setup, effect, &asks).await, 1, "{vary}");
    }
    let language = fields(&[("vary", "Origin, accept-LANGUAGE")]);
    assert_eq!(calls(&setup, language, &asks).await, 4, "three languages, and none");
}

#[tokio::test(start_paused = true)]
async fn what_tells_copies_apart_is_learnt_anew_from_each_answer() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let ask = |language| stack.call(with(get("/brands", &setup.acme), "accept-language", language));
    inject(&stack, "brands.list", Some(2), fields(&[("vary", "accept-language")]));
    for (language, told) in [("en", "fwd"), ("de", "fwd"), ("en", "hit"), ("de", "hit")] {
        assert!(said(&ask(language).await).starts_with(told), "{language}");
    }
    advance(Duration::from_secs(140)).await;
    for (language, told) in [("en", "fwd"), ("de", "hit"), ("fr", "hit")] {
        assert!(said(&ask(language).await).starts_with(told), "{language}");
    }
    assert_eq!(stack.arrived().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_coding_is_given_to_nobody_who_does_not_read_it() {
    let setup = Setup::new("");
    let ask = |stack: &Stack, codings: Option<&str>| {
        let mut call = get("/brands", &setup.acme);
        if let Some(codings) = codings {
            call = with(call, "accept-encoding", codings);
        }
        let pipeline = stack.pipeline.clone();
        async move {
            let reply = pipeline.answer(call).await;
            let coding = reply.headers().get("content-encoding").cloned();
            let said = reply.headers()["cache-status"].to_str().unwrap().to_owned();
            let body =
                http_body_util::BodyExt::collect(reply.into_body()).await.unwrap().to_bytes();
            assert_eq!(
                coding.is_some(),
                body.starts_with(&[0x1f, 0x8b]),
                "fields and octets agree"
            );
            (coding.is_some(), said.starts_with("tollgate; hit"))
        }
    };
    let (coded, plain) = (Effect { gzip: true, ..Effect::default() }, Effect::default());
    for vary in [false, true] {
        let stack = Stack::new(&setup);
        let inject = |effect: &Effect| {
            let mut effect = effect.clone();
            if vary {
                effect.headers.insert("vary".into(), "accept-encoding".into());
            }
            stack.courier.with(|simulator| simulator.faults().clear());
            inject(&stack, "brands.list", None, effect);
        };
        inject(&coded);
        assert_eq!(ask(&stack, Some("gzip")).await, (true, false));
        assert_eq!(ask(&stack, Some("GZIP;q=1")).await, (true, true));
        assert_eq!(ask(&stack, Some("br, gzip;q=0.1")).await, (true, !vary), "{vary}");
        inject(&plain);
        for codings in [None, Some("identity"), Some("gzip;q=0"), Some("br")] {
            assert!(!ask(&stack, codings).await.0, "{vary} {codings:?}");
        }
        // All of them read the plain one, if the vendor does not tell them apart.
        assert_eq!(ask(&stack, Some("gzip")).await, (vary, true));
        assert_eq!(ask(&stack, Some("identity")).await, (false, true));
    }
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_moment_are_one_call_for_each_answer_that_they_can_be_given() {
    let setup = Setup::new("");
    let round = async |effect: Effect, codings: &[&str]| {
        let stack = Stack::new(&setup);
        inject(&stack, "brands.list", None, slow(effect));
        let ask = |n: usize| {
            let codings = codings[n % codings.len()];
            stack.call(with(get("/brands", &setup.acme), "accept-encoding", codings))
        };
        let answers = join_all((0..60).map(ask)).await;
        assert!(answers.iter().all(|answer| answer.status.as_u16() == 200));
        let shared = answers.iter().filter(|answer| said(answer).contains("collapsed")).count();
        assert_eq!(shared + stack.arrived().len(), 60);
        stack.arrived().len()
    };
    assert_eq!(round(Effect::default(), &CODINGS).await, 1);
    let three = ["gzip", "br", "identity"];
    assert_eq!(round(Effect::default(), &three).await, 1);
    assert_eq!(round(fields(&[("vary", "accept-encoding")]), &three).await, 3);
    assert_eq!(round(Effect { gzip: true, ..Effect::default() }, &three).await, 3);
}

#[tokio::test(start_paused = true)]
async fn who_has_the_copy_is_told_so() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let tagged = |tag| fields(&[("etag", tag), ("last-modified", "Tue, 24 Nov 2026 12:00:00 GMT")]);
    inject(&stack, "brands.list", Some(1), tagged("W/\"a,b\""));
    let ask = |field, value: &str| stack.call(with(get("/brands", &setup.acme), field, value));
    let whole = stack.call(get("/brands", &setup.acme)).await;
    let told = |answer: &Answer| {
        assert!(said(answer).starts_with("hit"), "{}", said(answer));
        assert_eq!(answer.body.is_empty(), answer.status.as_u16() == 304);
        assert!(answer.body.is_empty() || answer.body == whole.body);
        answer.status.as_u16()
    };
    for tags in ["W/\"a,b\"", "\"a,b\"", "*", "\"x\", W/\"y\",\"a,b\""] {
        let answer = ask("if-none-match", tags).await;
        assert_eq!(told(&answer), 304, "{tags}");
        assert_eq!(answer.header("etag"), "W/\"a,b\"");
        assert_eq!((answer.header("content-type"), answer.header("content-length")), ("", ""));
    }
    for tags in ["\"a\"", "\"b\"", "W/\"x\", \"y\"", "a,b"] {
        assert_eq!(told(&ask("if-none-match", tags).await), 200, "{tags}");
    }
    for (since, status) in
        [("Tue, 24 Nov 2026 12:00:00 GMT", 304), ("Mon, 23 Nov 2026 12:00:00 GMT", 200)]
    {
        assert_eq!(told(&ask("if-modified-since", since).await), status, "{since}");
    }
    let head = with(request("HEAD", "/brands", &setup.acme, ""), "if-none-match", "\"a,b\"");
    assert_eq!(stack.call(head).await.status.as_u16(), 304);
    assert_eq!(stack.arrived().len(), 1);
    // A copy that stands in for the vendor says so, too.
    inject(&stack, "brands.list", None, status(503));
    advance(Duration::from_secs(140)).await;
    let stale = ask("if-none-match", "\"a,b\"").await;
    assert!(stale.status.as_u16() == 304 && said(&stale).contains("stale-if-error"));
}

#[tokio::test(start_paused = true)]
async fn without_a_copy_the_vendor_is_asked_for_the_whole_for_all() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    inject(&stack, "brands.list", Some(1), slow(fields(&[("etag", "\"a\"")])));
    let ask = |tag| stack.call(with(get("/brands", &setup.acme), "if-none-match", tag));
    let (first, has, other) = tokio::join!(ask("\"x\""), ask("\"a\""), ask("\"y\""));
    assert_eq!((first.status.as_u16(), other.status.as_u16()), (200, 200));
    assert_eq!((has.status.as_u16(), has.body.len()), (304, 0));
    assert!(said(&first).ends_with("stored") && first.body == other.body);
    let arrived = stack.arrived();
    assert_eq!(arrived.len(), 1);
    assert!(arrived[0].headers.iter().all(|(name, _)| name != "if-none-match"));
    stack.state.cache().purge_connection(&"acme-prod".parse().unwrap());
    inject(&stack, "brands.list", Some(1), fields(&[("etag", "\"a\"")]));
    let has = ask("\"a\"").await;
    assert_eq!((has.status.as_u16(), said(&has)), (304, "fwd=uri-miss; stored"));
    assert!(said(&stack.call(get("/brands", &setup.acme)).await).starts_with("hit"));
}
