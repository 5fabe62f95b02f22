//! Why was my call slow: what the gateway tells of a call by its id, to operators and to its app.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::advance;
use tollgate::call::StreamBody;
use tollgate::history::{CallDocument, CallQuery};
use tollgate::identity::NewKey;
use tollgate::ids::KeyId;

use crate::cache::{inject, status};
use crate::overrides::acts;
use crate::support::{Answer, Setup, Stack, request, token};

/// The apps of tenant `acme` beside the one that has its name, with their keys.
fn with_apps<const N: usize>(quota: &str, names: [&str; N]) -> (Setup, [String; N]) {
    let mut setup = Setup::with_quota("", &format!("[quota]\n{quota}\n"));
    let mut apps = String::new();
    let keys = names.map(|name| {
        let key = NewKey::generate(&KeyId::try_from(name.to_owned()).unwrap());
        apps += &format!(
            "[[tenant.app]]\nid = \"{name}\"\nkeys = [{{ id = \"{name}\", sha256 = \"{}\" }}]\n",
            key.sha256
        );
        key.text
    });
    let umbrella = setup.text.find("[[tenant]]\nid = \"umbrella\"").unwrap();
    setup.text.insert_str(umbrella, &apps);
    (setup, keys)
}

fn get(key: &str, latency: u64) -> http::Request<StreamBody> {
    let mut call = request("GET", "/messages", key, "");
    let latency = latency.to_string().parse().unwrap();
    call.headers_mut().insert("x-simulator-latency-ms", latency);
    call
}

fn told(stack: &Stack, answer: &Answer) -> CallDocument {
    let id = answer.header("tollgate-call-id").parse().unwrap();
    stack.state.calls().find(id).expect("it is kept").document()
}

async fn me(stack: &Stack, key: &str, query: &str) -> Answer {
    stack.call(request("GET", &format!("/.tollgate/me{query}"), key, "")).await
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_two_apps_is_explained_to_the_millisecond() {
    let quota = "calls = 2\nwindow = \"10s\"\nmax_wait = \"40s\"\ndepth = 10\napp_depth = 5";
    let (setup, [ledger, news, mine]) = with_apps(quota, ["ledger", "news", "mine"]);
    let stack = Stack::new(&setup);
    for _ in 0..2 {
        stack.call(get(&setup.acme, 0)).await;
    }
    let later = |seconds: u64, key: &str, latency: u64| {
        let (call, stack) = (get(key, latency), &stack);
        async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            stack.call(call).await
        }
    };
    let calls =
        [later(1, &ledger, 0), later(2, &ledger, 0), later(3, &news, 0), later(4, &mine, 250)];
    let answers = join_all(calls).await;
    let call = told(&stack, &answers[3]);
    // The slots are back after 10.05 s, for the first of each other app, and again as much later.
    assert_eq!(
        call.why,
        "It took 16.350 s, 16.100 s of it (98 %) waiting for a slot of 'connection': 2 calls of 2 \
         apps stood before it when it came."
    );
    let asked = call.timeline.iter().find(|event| event.event == "asked").unwrap();
    assert_eq!((asked.ahead, asked.ahead_apps, asked.ahead_own), (Some(2), Some(2), Some(0)));
    assert_eq!((asked.bound.as_deref(), asked.pool.as_deref()), (Some("slot"), Some("connection")));
    let parts: Vec<(&str, f64)> = call.parts.iter().map(|part| (&*part.part, part.ms)).collect();
    assert_eq!(parts, [("queue", 16_100.0), ("vendor", 250.0)]);
    assert_eq!(call.parts.iter().map(|part| part.ms).sum::<f64>(), call.total_ms);
    assert_eq!((&*call.app, call.operation.as_deref()), ("mine", Some("messages.list")));
    assert_eq!(
        (call.status, &*call.code, call.lane.as_deref()),
        (Some(200), "ok", Some("interactive"))
    );
    let second = told(&stack, &answers[1]);
    let asked = second.timeline.iter().find(|event| event.event == "asked").unwrap();
    assert_eq!((asked.ahead, asked.ahead_own), (Some(1), Some(1)), "its own first call");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_queue_is_explained_too() {
    let (setup, [mine]) =
        with_apps("calls = 1\nwindow = \"10s\"\nmax_wait = \"40s\"\ndepth = 9", ["mine"]);
    let stack = Stack::new(&setup);
    stack.call(get(&setup.acme, 0)).await;
    let pipeline = stack.pipeline.clone();
    let call = get(&mine, 0);
    let waiting = tokio::spawn(async move { pipeline.answer(call).await.status() });
    tokio::task::yield_now().await;
    advance(Duration::from_secs(3)).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    let found = stack.state.calls().list(&CallQuery { limit: 1, ..CallQuery::default() });
    let call = found[0].document();
    assert_eq!(
        call.why,
        "It took 3.000 s, 3.000 s of it (100 %) waiting for a slot of 'connection': nobody stood \
         before it when it came; its client left before the end."
    );
    assert_eq!(call.code, "client-gone");
    assert!(call.timeline.iter().any(|event| event.event == "left"), "{:?}", call.timeline);
    assert_eq!(stack.lines.last()["queue_ms"], 3000.0, "the line says so, too");
}

#[tokio::test(start_paused = true)]
async fn a_refused_upload_is_explained_although_it_was_not_read() {
    let (setup, [mine]) = with_apps("calls = 4\nwindow = \"10s\"\nmax_wait = \"1s\"", ["mine"]);
    let stack = Stack::new(&setup);
    for _ in 0..4 {
        stack.call(get(&setup.acme, 0)).await;
    }
    let refused = stack.call(request("POST", "/send", &mine, "{\"message\":{}}")).await;
    assert_eq!(refused.code(), "quota-exhausted");
    assert_eq!(
        told(&stack, &refused).why,
        "It was refused at once, since no slot would be free within the longest wait: nobody stood \
         before it, and it would have waited 10.050 s for a slot of 'connection'."
    );
}

#[tokio::test(start_paused = true)]
async fn each_try_and_each_pause_between_is_in_the_timeline() {
    let (setup, [mine]) = with_apps("calls = 100", ["mine"]);
    let stack = Stack::new(&setup);
    // The dice may say that there is no pause: such a part has no time.
    let call = loop {
        inject(&stack, "messages.list", Some(1), status(503));
        let answer = stack.call(request("GET", "/messages", &mine, "")).await;
        assert_eq!(answer.status.as_u16(), 200);
        let call = told(&stack, &answer);
        if !call.parts.is_empty() {
            break call;
        }
    };
    let steps: Vec<(&str, Option<u16>)> =
        call.timeline.iter().map(|event| (&*event.event, event.status)).collect();
    assert_eq!(
        steps,
        [
            ("received", None),
            ("asked", None),
            ("started", None),
            ("connecting", None),
            ("sent", None),
            ("first-byte", Some(503)),
            ("asked", None),
            ("started", None),
            ("connecting", None),
            ("sent", None),
            ("first-byte", Some(200)),
            ("head", None),
            ("end", None)
        ]
    );
    let parts: Vec<&str> = call.parts.iter().map(|part| &*part.part).collect();
    assert_eq!(parts, ["pause"]);
    assert!(call.why.ends_with("(100 %) pausing between its tries (503, 200)."), "{}", call.why);
}

#[tokio::test(start_paused = true)]
async fn an_app_learns_what_it_may_do_now_and_what_was_refused_to_it() {
    let quota = "calls = 4\nwindow = \"10s\"\nmax_wait = \"1s\"";
    let (setup, [mine, other]) = with_apps(quota, ["mine", "other"]);
    let stack = Stack::new(&setup);
    let fresh = me(&stack, &mine, "").await;
    assert_eq!(fresh.status.as_u16(), 200);
    assert_eq!(fresh.header("cache-control"), "no-store");
    let fresh = fresh.json();
    assert_eq!((&fresh["tenant"], &fresh["app"]), (&"acme".into(), &"mine".into()));
    assert_eq!(fresh["key"], serde_json::json!({ "id": "mine", "expires": null }));
    assert_eq!(fresh["scopes"], serde_json::json!(["*"]));
    let connection = &fresh["connections"][0];
    assert_eq!(connection["connection"], "acme-prod");
    assert_eq!((&connection["calls"], &connection["window_ms"]), (&4.into(), &10_000.into()));
    assert_eq!((&connection["room"], &connection["wait_ms"]), (&4.into(), &0.into()));
    assert_eq!((&connection["paused"], &connection["refused"]), (&false.into(), &Value::Null));
    assert_eq!(fresh["refusals"], serde_json::json!([]));
    for _ in 0..4 {
        stack.call(get(&mine, 0)).await;
    }
    advance(Duration::from_secs(3)).await;
    let refused = stack.call(get(&mine, 0)).await;
    let told: u64 = refused.header("retry-after-ms").parse().unwrap();
    let now = me(&stack, &mine, "").await.json();
    let connection = &now["connections"][0];
    assert_eq!((&connection["room"], &connection["held"]), (&0.into(), &4.into()));
    assert_eq!(connection["refused"], "quota-exhausted");
    assert_eq!((&connection["wait_ms"], &connection["bound"]), (&Value::Null, &"slot".into()));
    assert_eq!(connection["next_slot_ms"], 7050);
    let refusal = &now["refusals"][0];
    assert_eq!(
        (&refusal["code"], &refusal["operation"]),
        (&"quota-exhausted".into(), &"messages.list".into())
    );
    assert_eq!(refusal["retry_after_ms"].as_f64().unwrap().ceil(), told as f64);
    assert_eq!(refusal["call_id"], refused.header("tollgate-call-id"));
    assert_eq!(me(&stack, &other, "").await.json()["refusals"], serde_json::json!([]));
    acts(&stack, serde_json::json!({ "kind": "pause-app", "app": "mine" }));
    assert_eq!(me(&stack, &mine, "").await.json()["connections"][0]["paused"], true);
    assert_eq!(stack.arrived().len(), 4, "questions cost nothing");
}

#[tokio::test(start_paused = true)]
async fn looking_moves_nobody_who_is_refused_after_it() {
    let refusals = |looks: bool| async move {
        let (setup, [mine]) = with_apps("calls = 2\nwindow = \"10s\"\nmax_wait = \"1s\"", ["mine"]);
        let stack = Stack::new(&setup);
        for _ in 0..2 {
            stack.call(get(&mine, 0)).await;
        }
        let mut told = Vec::new();
        for _ in 0..4 {
            if looks {
                me(&stack, &mine, "").await;
                assert_eq!(stack.state.admission().view().len(), 2);
            }
            let refused = stack.call(get(&mine, 0)).await;
            told.push(refused.header("retry-after-ms").to_owned());
        }
        told
    };
    assert_eq!(refusals(true).await, refusals(false).await);
}

#[tokio::test(start_paused = true)]
async fn an_app_is_told_of_its_own_calls_only() {
    let (setup, [mine, other]) = with_apps("calls = 100", ["mine", "other"]);
    let stack = Stack::new(&setup);
    let answer = stack.call(get(&mine, 40)).await;
    let id = answer.header("tollgate-call-id").to_owned();
    let query = format!("?call={id}");
    let own = me(&stack, &mine, &query).await;
    assert_eq!((own.status.as_u16(), &own.json()["call_id"]), (200, &id.clone().into()));
    assert_eq!(
        own.json()["why"],
        "It was not slow: it took 40 ms, 40 ms of it (100 %) waiting for Courier's answer (200)."
    );
    let mut unknown = Vec::new();
    let nobodys = format!("?call={}", "0".repeat(32));
    for (key, query) in [(&other, &query), (&setup.umbrella, &query), (&mine, &nobodys)] {
        let answer = me(&stack, key, query).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "unknown-call".into()));
        let mut document = answer.json();
        document["call_id"].take();
        unknown.push(document);
    }
    assert!(unknown.iter().all(|document| *document == unknown[0]), "{unknown:#?}");
    for query in ["?call=", "?call=x", "?calls=1", &format!("?call=+{}", &id[1..])] {
        assert_eq!(me(&stack, &mine, query).await.status.as_u16(), 400, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_is_a_request_like_all_others_and_no_operation() {
    let (setup, [mine]) = with_apps("calls = 100", ["mine"]);
    let stack = Stack::new(&setup);
    let post = stack.call(request("POST", "/.tollgate/me", &mine, "{}")).await;
    assert_eq!((post.status.as_u16(), post.header("allow")), (405, "GET, HEAD"));
    let stranger = stack.call(request("GET", "/.tollgate/me", "tg_mine_x", "")).await;
    assert_eq!((stranger.status.as_u16(), stranger.code()), (401, "unauthenticated".into()));
    let nested = stack.call(request("GET", "/c/acme-prod/.tollgate/me", &mine, "")).await;
    assert_eq!(nested.code(), "unknown-operation");
    let head = stack.call(request("HEAD", "/.tollgate/me", &mine, "")).await;
    let length: usize = head.header("content-length").parse().unwrap();
    assert_eq!((head.status.as_u16(), head.body.len(), length > 100), (200, 0, true));
    let line = stack.lines.last();
    assert_eq!((&line["operation"], &line["app"]), (&Value::Null, &"mine".into()));
    let metrics = stack.state.metrics().page();
    assert!(!metrics.contains(".tollgate"), "no label of its own");
    let kept = stack.state.calls().list(&CallQuery { limit: 100, ..CallQuery::default() });
    let mut codes: Vec<_> = kept.iter().map(|entry| entry.document().code).collect();
    codes.sort();
    assert_eq!(codes, ["method-not-allowed", "unknown-operation"], "questions explain nothing");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_client_wrote_is_in_any_explanation() {
    let quota = "calls = 3\nwindow = \"10s\"\nmax_wait = \"1s\"";
    let (setup, [mine]) = with_apps(quota, ["mine"]);
    let stack = Stack::new(&setup);
    let hostile = |method: &str, target: &str| {
        let mut call = request(method, target, &mine, "{\"message\":{\"to\":\"canary-body\"}}");
        for field in ["idempotency-key", "x-request-id", "user-agent", "traceparent", "cookie"] {
            call.headers_mut().insert(field, "canary-field".parse().unwrap());
        }
        call
    };
    let mut ids = Vec::new();
    for (method, target) in [
        ("POST", "/send?canary-query=1"),
        ("GET", "/profiles/canary-path%2F"),
        ("PUT", "/lists/canary-path"),
        ("GET", "/profiles/canary-path"),
        ("GET", "/canary-path/"),
        ("GET", "/c/canary-path/messages"),
        ("CANARYMETHOD", "/messages"),
        ("GET", "/messages?cursor=\u{7f}canary"),
        ("CANARYMETHOD", "/.tollgate/me?call=canary-query"),
    ] {
        let Ok(uri) = target.parse::<http::Uri>() else { continue };
        let answer = stack.call(hostile(method, &uri.to_string())).await;
        ids.push(answer.header("tollgate-call-id").to_owned());
    }
    let mut all = String::new();
    for entry in stack.state.calls().list(&CallQuery { limit: 1000, ..CallQuery::default() }) {
        all += &serde_json::to_string(&entry.document()).unwrap();
    }
    for id in &ids {
        all += &String::from_utf8_lossy(&me(&stack, &mine, &format!("?call={id}")).await.body);
    }
    all += &String::from_utf8_lossy(&me(&stack, &mine, "").await.body);
    all += &serde_json::to_string(&stack.state.admission().view()).unwrap();
    assert!(all.contains("messages.send") && all.contains("quota-exhausted"), "{all}");
    let secret = mine.rsplit_once('_').unwrap().1;
    for word in ["canary", "CANARY", secret, &token("acme")] {
        assert!(!all.contains(word), "{word}: {all}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_calls_and_may_give_them_fewer_places() {
    let (mut setup, [mine]) = with_apps("calls = 100", ["mine"]);
    let stack = Stack::new(&setup);
    let first = stack.call(get(&mine, 0)).await;
    let last = stack.call(get(&mine, 0)).await;
    stack.state.reconfigure(&setup.config()).unwrap();
    told(&stack, &first);
    setup.text = format!("[admin]\ncalls = 1\n{}", setup.text);
    stack.state.reconfigure(&setup.config()).unwrap();
    told(&stack, &last);
    let id = first.header("tollgate-call-id").parse().unwrap();
    assert!(stack.state.calls().find(id).is_none());
}
