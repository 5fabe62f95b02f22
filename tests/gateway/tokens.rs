//! The vendor's word about our token, and that the token never comes back.

use std::time::Duration;

use simulator::{Answer as Faulty, Effect, Fault, Options, When};

use tokio::time::sleep;

use crate::page::Page;
use crate::raw::{Answer as Octets, Bench, Row};
use crate::support::{Setup, Stack, request, token};

fn next(stack: &Stack, times: u64, effect: Effect) {
    let when = When { times: Some(times), ..When::default() };
    stack.courier.with(|simulator| {
        simulator.faults().clear();
        simulator.faults().add(Fault { id: None, when, effect });
    });
}

fn answer(answer: Faulty) -> Effect {
    Effect { answer: Some(answer), ..Effect::default() }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_a_502_of_ours_an_alert_and_no_retry() {
    let setup = Setup::new("");
    for status in [401, 403] {
        let stack = Stack::new(&setup);
        next(&stack, 10, answer(Faulty::Credential { status }));
        let refused = stack.call(request("GET", "/messages", &setup.acme, "")).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (502, "vendor-credential-rejected")
        );
        assert_eq!(refused.header("x-should-retry"), "false");
        assert_eq!(refused.header("tollgate-outcome"), "not-sent");
        assert_eq!(stack.arrived().len(), 1);
        let page = stack.state.metrics().page();
        let series = "tollgate_vendor_credential_rejected_total{connection=\"acme-prod\"} 1";
        assert!(page.contains(series), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_403_is_the_callers_business() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    next(&stack, 1, answer(Faulty::Forbidden));
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, ""));
    assert!(answer.json()["message"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_its_source_has_changed_is_tried_once() {
    let setup = Setup::new("");
    let file = setup.text.split('\'').nth(1).unwrap();
    let stack = Stack::new(&setup);
    next(&stack, 1, answer(Faulty::Credential { status: 401 }));
    std::fs::write(file, "the-next-token").unwrap();
    let answered = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(answered.status.as_u16(), 200);
    let tokens: Vec<_> = stack
        .arrived()
        .iter()
        .map(|call| call.field("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(tokens, [format!("Bearer {}", token("acme")), "Bearer the-next-token".to_owned()]);
    // The new one is refused as well: nothing has changed since.
    next(&stack, 9, answer(Faulty::Credential { status: 401 }));
    let refused = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!((refused.status.as_u16(), stack.arrived().len()), (502, 3));
    // Another connection's token is no new token.
    std::fs::write(file, token("umbrella")).unwrap();
    let refused = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!((refused.status.as_u16(), stack.arrived().len()), (502, 4));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_replaced_in_its_file_is_used_before_the_old_one_is_refused() {
    let setup = Setup::new("");
    let file = setup.text.split('\'').nth(1).unwrap();
    let stack = Stack::new(&setup);
    sleep(Duration::from_millis(500)).await;
    // A file that is still being written is left alone.
    for (written, used) in [("the-n", token("acme")), ("the-next-token", token("acme"))] {
        std::fs::write(file, written).unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(used_by(&stack, &setup).await, format!("Bearer {used}"));
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(used_by(&stack, &setup).await, "Bearer the-next-token");
    let page = stack.state.metrics().page();
    let none = "tollgate_vendor_credential_rejected_total{connection=\"acme-prod\"} 0\n";
    assert!(page.contains(none), "{page}");
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_the_vendor_refuses_is_given_up_for_the_one_before() {
    let setup = Setup::new("");
    let file = setup.text.split('\'').nth(1).unwrap();
    let options = Options { rejected_tokens: ["half-of-it".into()].into(), ..Options::default() };
    let stack = Stack::with(&setup, options);
    std::fs::write(file, "half-of-it").unwrap();
    sleep(Duration::from_secs(3)).await;
    for _ in 0..3 {
        assert_eq!(used_by(&stack, &setup).await, format!("Bearer {}", token("acme")));
        sleep(Duration::from_secs(1)).await;
    }
    let half = |call: &simulator::Request| call.field("authorization") == Some("Bearer half-of-it");
    assert_eq!(stack.arrived().iter().filter(|call| half(call)).count(), 1);
    let shown =
        async |name: &str| Page::of(&stack.state).await.sum(name, &[("connection", "acme-prod")]);
    assert_eq!(shown("tollgate_vendor_token_given_up").await, 1.0, "the next start has that one");
    assert_eq!(shown("tollgate_vendor_token_good").await, 1.0);
    assert_eq!(shown("tollgate_vendor_token_replaced_total").await, 0.0);
    assert!(stack.state.readiness().contains("acme-prod was refused"));
    std::fs::write(file, token("acme")).unwrap();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(shown("tollgate_vendor_token_given_up").await, 0.0, "the way back of the operator");
    assert_eq!(stack.state.readiness(), "ok\n");
    std::fs::write(file, "the-next-token").unwrap();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(used_by(&stack, &setup).await, "Bearer the-next-token");
    assert_eq!(shown("tollgate_vendor_token_given_up").await, 0.0);
}

/// The token that a call goes to the vendor with.
async fn used_by(stack: &Stack, setup: &Setup) -> String {
    let answered = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(answered.status.as_u16(), 200);
    stack.arrived().last().unwrap().field("authorization").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_vendor_repeats_does_not_reach_the_caller() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    for (status, chunked) in [(400, false), (404, true), (500, false)] {
        let text = format!("{{\"message\":\"{} is wrong\"}}", token("acme"));
        let wrong = Faulty::Status {
            status,
            body: Some(text.clone()),
            content_type: None,
            retry_after: None,
        };
        next(&stack, 9, Effect { echo_token: true, chunked, ..answer(wrong) });
        let call = request("POST", "/bulk", &setup.acme, "{}");
        let answer = stack.call(call).await;
        assert_eq!(answer.status.as_u16(), status);
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!body.contains(&token("acme")) && body.contains("*************"), "{body}");
        if !chunked {
            assert_eq!(answer.header("content-length"), body.len().to_string());
        }
        for value in answer.headers.values() {
            assert!(!value.to_str().unwrap().contains(&token("acme")), "{value:?}");
        }
        assert_eq!(answer.header("x-echo-token").trim_matches('*'), "");
    }
}

#[tokio::test(start_paused = true)]
async fn sdks_are_told_not_to_repeat_what_may_have_been_done() {
    let setup = Setup::new("");
    let status = |status| {
        answer(Faulty::Status { status, body: None, content_type: None, retry_after: None })
    };
    let bulk = || request("POST", "/bulk", &setup.acme, "{\"message\":{\"event\":\"e\"}}");
    let keyed = || {
        let mut call = bulk();
        call.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        call
    };
    let patch = || request("PATCH", "/profiles/u", &setup.acme, "{\"patch\":[]}");
    let get = || request("GET", "/messages", &setup.acme, "");
    let put = || request("PUT", "/lists/a", &setup.acme, "{\"name\":\"a\"}");
    let throttled = || answer(Faulty::RateLimited { retry_after: Some("100".into()) });
    for (call, effect, told) in [
        (bulk(), status(503), "false"),
        (bulk(), status(500), "false"),
        (bulk(), status(409), "false"),
        (bulk(), throttled(), ""),
        (patch(), status(500), "false"),
        (keyed(), status(503), ""),
        (get(), status(500), ""),
        (put(), status(500), ""),
    ] {
        let stack = Stack::new(&setup);
        next(&stack, 9, effect);
        let name = format!("{} {}", call.method(), call.uri());
        let answer = stack.call(call).await;
        assert_eq!(answer.header("x-should-retry"), told, "{name}: {}", answer.status);
    }
    let stack = Stack::new(&setup);
    assert_eq!(stack.call(bulk()).await.header("x-should-retry"), "", "it went well");
    let refused = stack.call(request("POST", "/unknown", &setup.acme, "{}")).await;
    assert_eq!(
        (refused.header("tollgate-outcome"), refused.header("x-should-retry")),
        ("not-sent", "")
    );
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Read;
    let mut coded = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast());
    encoder.read_to_end(&mut coded).unwrap();
    coded
}

fn coded(status: &str, coding: &str, body: &[u8]) -> Octets {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n\
         ETag: \"a\"\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Octets::Octets([head.as_bytes(), body].concat(), false)
}

#[tokio::test(start_paused = true)]
async fn an_error_in_a_coding_is_read_before_it_is_handed_on() {
    let bench = Bench::new(false);
    let key = bench.setup.acme.clone();
    let text = format!("{{\"message\":\"{} is wrong\"}}", token("acme"));
    let about_us = "{\"type\":\"authentication_error\",\"message\":\"no\"}";
    bench.answers("echoes", coded("404 Not Found", "gzip", &gzip(&text)));
    bench.answers("refuses", coded("403 Forbidden", "gzip", &gzip(about_us)));
    bench.answers("strange", coded("400 Bad Request", "compress", text.as_bytes()));
    bench.answers("good", coded("200 OK", "gzip", about_us.as_bytes()));
    for h2 in [false, true] {
        let mut client = bench.client(h2).await;
        let got = client.call(Row::Streams, "echoes", &key).await.unwrap();
        let body = got.body.unwrap();
        assert!(got.status == 404 && !body.contains(&token("acme")), "{body}");
        assert!(body.ends_with(" is wrong\"}") && body.len() == text.len(), "{body}");
        for gone in ["content-encoding", "etag"] {
            assert!(!got.headers.contains_key(gone), "{gone}");
        }
        let got = client.call(Row::Streams, "refuses", &key).await.unwrap();
        assert!(got.body.unwrap().contains("vendor-credential-rejected"));
        let got = client.call(Row::Streams, "strange", &key).await.unwrap();
        assert_eq!((got.status, got.body.as_deref()), (400, Some("")), "it can't be read");
        let got = client.call(Row::Streams, "good", &key).await.unwrap();
        assert_eq!(got.headers["content-encoding"], "gzip", "what is no error passes as it is");
    }
}

/// A coded error that is longer than is read, one that decodes to more, one with the token behind it, and
/// a plain one with the token far behind.
#[tokio::test(start_paused = true)]
async fn no_error_however_long_or_coded_hands_the_token_on() {
    let bench = Bench::new(false);
    let (key, token) = (bench.setup.acme.clone(), token("acme"));
    // Noise, so that it stays long when it is coded.
    let mut state = 1_u32;
    let noise = (0..200_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_u32(u32::from(b'a') + (state >> 8) % 26).unwrap()
    });
    let noise: String = noise.collect();
    let long = format!("{noise}{token}");
    let wide = format!("{token}{}", " ".repeat(1 << 20));
    let behind = [&gzip("{}")[..], token.as_bytes()].concat();
    assert!(gzip(&long).len() > 64 << 10 && gzip(&wide).len() < 64 << 10);
    let stars = "*".repeat(token.len());
    for (name, coding, body, told) in [
        ("long", "gzip", gzip(&long), ""),
        ("wide", "gzip", gzip(&wide), ""),
        ("behind", "gzip", behind, "{}"),
        ("nothing", "br", Vec::new(), ""),
        ("plain", "identity", long.clone().into_bytes(), &*format!("{noise}{stars}")),
    ] {
        for status in ["404 Not Found", "401 Unauthorized", "500 Internal Server Error"] {
            let name = format!("{name}-{}", &status[..3]);
            bench.answers(&name, coded(status, coding, &body));
            for h2 in [false, true] {
                let mut client = bench.client(h2).await;
                let got = client.call(Row::Streams, &name, &key).await.unwrap();
                let body = got.body.unwrap();
                assert!(!body.contains(&token), "{name}");
                let whole = status.starts_with("404");
                assert!(!whole || (got.status == 404 && body == told), "{name} {}", body.len());
            }
        }
    }
}
