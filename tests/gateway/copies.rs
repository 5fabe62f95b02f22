//! Whose copies are whose, and what ends them.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, advance};
use tollgate::ids::ConnectionId;
use tollgate::pipeline::Pipeline;

use crate::cache::{get, said, with};
use crate::support::{ALL, Setup, Stack, request, tenant};

#[tokio::test(start_paused = true)]
async fn hostile_fields_and_bodies_cannot_change_what_the_next_caller_gets() {
    let setup = Setup::new("");
    let clean = Stack::new(&setup).call(get("/brands", &setup.acme)).await;
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example"),
        ("x-original-url", "/lists"),
        ("x-rewrite-url", "/lists"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "POST"),
        ("range", "bytes=0-3"),
        ("if-none-match", "*"),
        ("accept", "application/x-evil"),
        ("accept-language", "xx"),
        ("accept-encoding", "x-evil"),
        ("accept-charset", "utf-7"),
        ("x-simulator-fault", r#"{"answer":{"kind":"status","status":200,"body":"evil"}}"#),
    ] {
        let stack = Stack::new(&setup);
        stack.call(with(get("/brands", &setup.acme), name, value)).await;
        let next = stack.call(get("/brands", &setup.acme)).await;
        assert_eq!((next.status, &next.body), (clean.status, &clean.body), "{name}");
        let listed =
            ["host", "via", "authorization", "accept", "accept-encoding", "accept-language"];
        for call in stack.arrived() {
            for (name, _) in &call.headers {
                assert!(listed.contains(&name.to_ascii_lowercase().as_str()), "{name} was sent");
            }
        }
    }
    let stack = Stack::new(&setup);
    stack.call(request("GET", "/brands", &setup.acme, "{\"evil\":true}")).await;
    assert!(stack.arrived().iter().all(|call| call.body.is_empty()));
    assert!(said(&stack.call(get("/brands", &setup.acme)).await).starts_with("hit"));
}

#[tokio::test(start_paused = true)]
async fn head_is_answered_from_a_copy_and_makes_none() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let head = || stack.call(request("HEAD", "/brands", &setup.acme, ""));
    assert_eq!(said(&head().await), "fwd=uri-miss; detail=method");
    let whole = stack.call(get("/brands", &setup.acme)).await;
    assert_eq!((said(&whole), whole.body.is_empty()), ("fwd=uri-miss; stored", false));
    let answer = head().await;
    assert!(said(&answer).starts_with("hit") && answer.body.is_empty());
    assert_eq!(answer.header("content-length"), whole.body.len().to_string());
    assert_eq!(stack.call(get("/brands", &setup.acme)).await.body, whole.body);
}

#[tokio::test(start_paused = true)]
async fn nothing_crosses_from_one_tenant_or_connection_to_another() {
    let mut setup = Setup::new("");
    let (third, key) = tenant("third", ALL);
    setup.text.push_str(&third);
    let stack = Stack::new(&setup);
    let keys = [&setup.acme, &setup.umbrella, &key];
    for (key, name) in keys.iter().zip(["acme", "umbrella", "third"]) {
        let body = format!("{{\"name\":\"list of {name}\"}}");
        for list in 0..5 {
            stack.call(request("PUT", &format!("/lists/{list}"), key, &body)).await;
        }
    }
    advance(Duration::from_secs(4)).await;
    let mut crossed = 0;
    for round in 0..334 {
        // Some rounds miss, some hit; every list, and ids that nobody has.
        advance(Duration::from_secs(if round % 3 == 0 { 40 } else { 1 })).await;
        let calls = keys.iter().zip(["acme", "umbrella", "third"]).flat_map(|(key, name)| {
            (0..10).map(move |list| (name, get(&format!("/lists/{list}"), key)))
        });
        let calls = calls.map(|(name, call)| {
            let stack = &stack;
            async move { (name, stack.call(call).await) }
        });
        for (name, answer) in join_all(calls).await {
            let own = answer.json()["name"] == format!("list of {name}");
            crossed += usize::from(!own && answer.status.as_u16() != 404);
        }
    }
    assert_eq!(crossed, 0);
    let lines = stack.lines.all();
    let count = |how: &str| lines.iter().filter(|line| line["cache"] == how).count();
    assert!(count("hit") > 1_000 && count("stored") > 100, "{} {}", count("hit"), count("stored"));
}

#[tokio::test(start_paused = true)]
async fn nothing_crosses_between_two_connections_of_one_tenant() {
    let setup = crate::callers::with_a_second_connection();
    let stack = Stack::new(&setup);
    let connections = ["acme-prod", "acme-test"];
    for connection in connections {
        let body = format!("{{\"name\":\"list of {connection}\"}}");
        let put = request("PUT", &format!("/c/{connection}/lists/1"), &setup.acme, &body);
        assert_eq!(stack.call(put).await.status.as_u16(), 204);
    }
    advance(Duration::from_secs(4)).await;
    for round in 0..100 {
        advance(Duration::from_secs(if round % 3 == 0 { 40 } else { 1 })).await;
        let calls = connections.iter().cycle().take(50).map(|connection| {
            let call = get(&format!("/c/{connection}/lists/1"), &setup.acme);
            let stack = &stack;
            async move { (connection, stack.call(call).await.json()["name"].clone()) }
        });
        for (connection, name) in join_all(calls).await {
            assert_eq!(name, format!("list of {connection}"));
        }
    }
    assert!(stack.arrived().len() < 200, "most came from copies");
}

#[tokio::test(start_paused = true)]
async fn a_purge_a_bypass_and_a_changed_token_end_copies() {
    let mut setup = Setup::new("");
    let mut stack = Stack::new(&setup);
    let connection: ConnectionId = "acme-prod".parse().unwrap();
    let key = setup.acme.clone();
    let read = |stack: &Stack| {
        let call = get("/brands", &key);
        let pipeline = stack.pipeline.clone();
        async move {
            let reply = pipeline.answer(call).await;
            let said = reply.headers()["cache-status"].to_str().unwrap().to_owned();
            drop(http_body_util::BodyExt::collect(reply.into_body()).await);
            said.contains("hit")
        }
    };
    read(&stack).await;
    assert!(read(&stack).await);
    stack.state.cache().purge_connection(&connection);
    assert!(!read(&stack).await && read(&stack).await);
    assert!(stack.state.cache().purge_tag(&connection, "brands"));
    assert!(!read(&stack).await && read(&stack).await);
    stack.state.cache().bypass(&connection, Instant::now() + Duration::from_secs(30));
    assert!(!read(&stack).await && !read(&stack).await);
    advance(Duration::from_secs(31)).await;
    assert!(!read(&stack).await && read(&stack).await);
    stack.pipeline = Pipeline::build(&setup.config(), &stack.state);
    assert!(read(&stack).await, "a reload without changes keeps copies");
    let file =
        std::env::temp_dir().join(format!("tollgate-test-{}", tollgate::ids::RandomId::new()));
    std::fs::write(&file, "another-token").unwrap();
    let start = setup.text.find("token = { file = '").unwrap() + "token = { file = '".len();
    let end = start + setup.text[start..].find('\'').unwrap();
    setup.text.replace_range(start..end, file.to_str().unwrap());
    stack.pipeline = Pipeline::build(&setup.config(), &stack.state);
    assert!(!read(&stack).await && read(&stack).await);
}

#[tokio::test(start_paused = true)]
async fn rows_are_turned_on_and_off_by_configuration() {
    let setup = Setup::new("[cache]\non = [\"notifications.list\"]\noff = [\"brands.list\"]\n");
    let stack = Stack::new(&setup);
    for (target, kept) in [("/notifications", true), ("/brands", false), ("/lists", true)] {
        stack.call(get(target, &setup.acme)).await;
        let second = stack.call(get(target, &setup.acme)).await;
        assert_eq!(said(&second).starts_with("hit"), kept, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_outside_the_catalogue_clears_everything_of_its_workspace() {
    let mut setup = Setup::new("");
    let all = format!("{}, \"unlisted\"]\n", ALL.trim_end().trim_end_matches(']'));
    setup.text = setup.text.replace(ALL, &all);
    let stack = Stack::new(&setup);
    let read = |key: &str| stack.call(get("/brands", key));
    for key in [&setup.acme, &setup.umbrella] {
        read(key).await;
        assert!(said(&read(key).await).starts_with("hit"));
    }
    stack.call(request("POST", "/something/new", &setup.acme, "{}")).await;
    assert!(!said(&read(&setup.acme).await).starts_with("hit"));
    assert!(said(&read(&setup.umbrella).await).starts_with("hit"));
}
