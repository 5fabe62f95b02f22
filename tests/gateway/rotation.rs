//! Tokens that change in their files while calls run and configurations are read again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use tollgate::config::Config;

use crate::cache::said;
use crate::page::Page;
use crate::support::{Setup, Stack, request, token};

/// Within this a new token in a file is used.
const PROMISED: Duration = Duration::from_secs(2);

/// The file of the token of a tenant.
fn file(setup: &Setup, tenant: usize) -> PathBuf {
    setup
        .text
        .split("token = { file = '")
        .nth(tenant + 1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .into()
}

/// The tokens with which the last calls to `path` went out.
fn tokens(stack: &Stack, path: &str) -> Vec<String> {
    let arrived = stack.arrived();
    let ours = arrived.iter().filter(|call| call.target.starts_with(path));
    ours.map(|call| call.field("authorization").unwrap()["Bearer ".len()..].to_owned()).collect()
}

/// Reads the configuration again, as the signal does.
fn hang_up(stack: &mut Stack, text: &str) -> Result<(), String> {
    let known = stack.state.tokens().known();
    let config =
        Config::parse_again(text, &known).map_err(|found| format!("{:?}", found.problems))?;
    stack.go_on(&config)
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_can_not_read_a_token_keeps_the_last_good_one_and_says_so() {
    let setup = Setup::new("");
    let mut stack = Stack::new(&setup);
    let path = file(&setup, 0);
    std::fs::write(&path, "the-next-token").unwrap();
    sleep(PROMISED).await;
    std::fs::remove_file(&path).unwrap();
    hang_up(&mut stack, &setup.text).unwrap();
    let shown =
        async |stack: &Stack| Page::of(&stack.state).await.sum("tollgate_token_unreadable", &[]);
    assert_eq!(shown(&stack).await, 1.0);
    assert!(stack.state.readiness().contains("the token of acme-prod can't be read from its file"));
    let known = stack.state.tokens().known();
    let config = Config::parse_again(&setup.text, &known).unwrap();
    let warning = config.warnings.iter().map(ToString::to_string).next().unwrap();
    assert!(warning.contains("the last good token of 'acme-prod' stays in use"), "{warning}");
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(tokens(&stack, "/messages"), ["the-next-token"]);
    let states: Vec<_> = stack.state.token_states().into_iter().map(|it| it.1.as_str()).collect();
    assert_eq!(states, ["unreadable", "ok"]);
    std::fs::write(&path, "the-next-token").unwrap();
    hang_up(&mut stack, &setup.text).unwrap();
    assert_eq!(shown(&stack).await, 0.0);
    assert_eq!(stack.state.readiness(), "ok\n");
}

#[tokio::test(start_paused = true)]
async fn a_reload_without_a_token_is_refused_where_none_was_from_that_source() {
    let setup = Setup::new("");
    let mut stack = Stack::new(&setup);
    let path = file(&setup, 0).display().to_string();
    let elsewhere = setup.text.replace(&path, &format!("{path}-elsewhere"));
    let refused = hang_up(&mut stack, &elsewhere).unwrap_err();
    assert!(refused.contains("-elsewhere' is not there"), "{refused}");
    std::fs::remove_file(&path).unwrap();
    let renamed = setup.text.replace("\"acme-prod\"", "\"acme-new\"");
    assert!(hang_up(&mut stack, &renamed).is_err(), "that connection never had one");
    assert!(Config::parse(&setup.text).is_err(), "and so does a start");
}

#[tokio::test(start_paused = true)]
async fn another_token_ends_the_copies_of_its_connection_and_no_others() {
    let setup = Setup::new("");
    let mut stack = Stack::new(&setup);
    let hit = async |stack: &Stack, key: &str| {
        said(&stack.call(request("GET", "/brands", key, "")).await).starts_with("hit")
    };
    for with_a_signal in [false, true] {
        for key in [&setup.acme, &setup.umbrella] {
            hit(&stack, key).await;
            assert!(hit(&stack, key).await);
        }
        std::fs::write(file(&setup, 0), format!("token-{with_a_signal}")).unwrap();
        if with_a_signal {
            hang_up(&mut stack, &setup.text).unwrap();
        } else {
            sleep(PROMISED).await;
        }
        assert!(!hit(&stack, &setup.acme).await, "{with_a_signal}");
        assert!(hit(&stack, &setup.umbrella).await, "{with_a_signal}");
    }
}

#[tokio::test(start_paused = true)]
async fn rotations_and_reloads_under_load_cost_no_call_and_mix_up_no_tokens() {
    let setup = Setup::new("");
    let mut options = simulator::Options { limits: Vec::new(), ..Default::default() };
    options.latency = Some(simulator::Latency::Fixed { ms: 40.0 });
    let mut stack = Stack::with(&setup, options);
    let done = Arc::new(AtomicBool::new(false));
    let pipeline = Arc::new(std::sync::Mutex::new(stack.pipeline.clone()));
    let mut callers = Vec::new();
    for (path, key) in [("/messages", &setup.acme), ("/automations", &setup.umbrella)].repeat(4) {
        let (done, pipeline, key) = (done.clone(), pipeline.clone(), key.clone());
        callers.push(tokio::spawn(async move {
            let mut statuses = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let now = pipeline.lock().unwrap().clone();
                let answer = now.answer(request("GET", path, &key, "")).await;
                statuses.push(answer.status().as_u16());
                drop(answer);
                sleep(Duration::from_millis(10)).await;
            }
            statuses
        }));
    }
    let files = [file(&setup, 0), file(&setup, 1)];
    for round in 1..=20 {
        for (at, tenant) in ["acme", "umbrella"].into_iter().enumerate() {
            std::fs::write(&files[at], format!("{}-{round}", token(tenant))).unwrap();
        }
        for _ in 0..5 {
            hang_up(&mut stack, &setup.text).unwrap();
            *pipeline.lock().unwrap() = stack.pipeline.clone();
            sleep(Duration::from_millis(230)).await;
        }
    }
    done.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for caller in callers {
        let statuses = caller.await.unwrap();
        calls += statuses.len();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
    assert!(calls > 1_000, "{calls}");
    for (path, tenant) in [("/messages", "acme"), ("/automations", "umbrella")] {
        let used = tokens(&stack, path);
        let own = |used: &&String| used.starts_with(&token(tenant));
        assert_eq!(used.iter().filter(own).count(), used.len(), "{path}");
        let newest = format!("{}-20", token(tenant));
        assert_eq!(used.last(), Some(&newest));
    }
}
