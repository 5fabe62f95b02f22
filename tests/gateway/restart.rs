//! Slots over a restart, and limits that change while calls run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, advance};
use tollgate::config::Config;
use tollgate::ids::RandomId;
use tollgate::pipeline::Pipeline;

use crate::support::{Setup, Stack, request};

const QUOTA: &str = "[quota]\ncalls = 3\nwindow = \"10s\"\nmax_wait = \"1s\"\n";

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("tollgate-state-{}", RandomId::new()))
}

fn setup(dir: &Path) -> Setup {
    Setup::with_quota(&format!("[state]\ndir = '{}'\n", dir.display()), QUOTA)
}

/// How many calls get through at once.
async fn room(stack: &Stack, setup: &Setup) -> usize {
    let mut passed = 0;
    while stack.call(request("GET", "/messages", &setup.acme, "")).await.status.as_u16() == 200 {
        passed += 1;
    }
    passed
}

/// The file of the own pool of a tenant's connection, as the index has it.
fn file(dir: &Path, tenant: &str) -> PathBuf {
    let index = std::fs::read_to_string(dir.join("slots.index")).unwrap();
    let own = |line: &&str| line.ends_with(&format!(" {tenant}-prod connection"));
    let line = index.lines().find(own).unwrap();
    dir.join(format!("{}.slots", line.split(' ').next().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_what_the_vendor_may_still_count() {
    let dir = folder();
    let setup = setup(&dir);
    let stack = Stack::new(&setup);
    for _ in 0..2 {
        stack.call(request("GET", "/messages", &setup.acme, "")).await;
    }
    drop(stack);
    let stack = Stack::new(&setup);
    assert!(stack.state.is_ready());
    assert_eq!(room(&stack, &setup).await, 1, "two slots still rest");
    advance(Duration::from_secs(11)).await;
    assert_eq!(room(&stack, &setup).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_never_used_is_a_first_start() {
    let dir = folder();
    let setup = setup(&dir);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_lets_its_pool_rest_and_only_that_one() {
    let damages: [fn(&Path, &Path); 4] = [
        |path, _| std::fs::remove_file(path).unwrap(),
        |path, _| std::fs::write(path, "not a state file").unwrap(),
        |path, _| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[130] ^= 1;
            std::fs::write(path, bytes).unwrap();
        },
        |path, other| assert!(std::fs::copy(other, path).unwrap() > 0),
    ];
    for damage in damages {
        let dir = folder();
        let setup = setup(&dir);
        drop(Stack::new(&setup));
        damage(&file(&dir, "acme"), &file(&dir, "umbrella"));
        let stack = Stack::new(&setup);
        assert!(stack.state.is_ready(), "the other connection is usable");
        assert_eq!(room(&stack, &setup).await, 0, "nothing is known: everything rests");
        let other = stack.call(request("GET", "/messages", &setup.umbrella, "")).await;
        assert_eq!(other.status.as_u16(), 200);
        // Hard limit, window and guard.
        advance(Duration::from_millis(60_000 + 10_000 + 51)).await;
        assert_eq!(room(&stack, &setup).await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_a_usable_connection_is_not_ready() {
    let dir = folder();
    let setup = setup(&dir);
    drop(Stack::new(&setup));
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "slots") {
            std::fs::write(path, "").unwrap();
        }
    }
    let stack = Stack::new(&setup);
    assert!(!stack.state.is_ready());
    advance(Duration::from_secs(131)).await;
    assert!(stack.state.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_say_what_the_past_was() {
    let dir = folder();
    for (assume, calls) in [("fresh", 3), ("used", 0), ("fresh", 3)] {
        let mut setup = setup(&dir);
        setup.text = setup.text.replace("[state]\n", &format!("[state]\nassume = \"{assume}\"\n"));
        assert_eq!(room(&Stack::new(&setup), &setup).await, calls, "{assume}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_process_on_the_same_folder_is_refused() {
    let dir = folder();
    let setup = setup(&dir);
    let first = Stack::new(&setup);
    let second = Stack::try_with(&setup, simulator::Options::default());
    assert!(second.err().unwrap().contains("another process uses it"));
    drop(first);
    assert!(Stack::try_with(&setup, simulator::Options::default()).is_ok());
}

/// The pipeline after a reload of `text`.
fn reload(stack: &Stack, text: &str) -> Pipeline {
    let config = Config::parse(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    stack.state.reconfigure(&config).unwrap();
    Pipeline::build(&config, &stack.state)
}

#[tokio::test(start_paused = true)]
async fn a_reload_lowers_and_raises_a_limit_without_forgetting_a_slot() {
    let setup = Setup::with_quota("", QUOTA);
    let mut stack = Stack::new(&setup);
    assert_eq!(room(&stack, &setup).await, 3);
    stack.pipeline = reload(&stack, &setup.text.replace("calls = 3", "calls = 5"));
    assert_eq!(room(&stack, &setup).await, 2, "two more, and no third window");
    stack.pipeline = reload(&stack, &setup.text.replace("calls = 3", "calls = 1"));
    assert_eq!(room(&stack, &setup).await, 0);
    advance(Duration::from_secs(11)).await;
    assert_eq!(room(&stack, &setup).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_changes_the_window_keeps_what_rests() {
    let setup = Setup::with_quota("", QUOTA);
    let mut stack = Stack::new(&setup);
    assert_eq!(room(&stack, &setup).await, 3);
    stack.pipeline = reload(&stack, &setup.text.replace("window = \"10s\"", "window = \"20s\""));
    assert_eq!(room(&stack, &setup).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_during_a_reload_gets_its_turn() {
    let setup = Setup::with_quota("", &QUOTA.replace("\"1s\"", "\"30s\""));
    let mut stack = Stack::new(&setup);
    for _ in 0..3 {
        stack.call(request("GET", "/messages", &setup.acme, "")).await;
    }
    let (pipeline, call) = (stack.pipeline.clone(), request("GET", "/messages", &setup.acme, ""));
    let start = Instant::now();
    let waiting = tokio::spawn(async move { pipeline.answer(call).await.status().as_u16() });
    tokio::task::yield_now().await;
    stack.pipeline = reload(&stack, &setup.text);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(start.elapsed().as_millis(), 10_050);
}
