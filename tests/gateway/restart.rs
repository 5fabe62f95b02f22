//! Slots over a restart, and limits that change while calls run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, advance};
use tollgate::config::Config;
use tollgate::ids::RandomId;
use tollgate::pipeline::Pipeline;

use crate::support::{Setup, Stack, request};

const QUOTA: &str = "[quota]\ncalls = 3\nwindow = \"10s\"\nmax_wait = \"1s\"\n";

pub(crate) fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("tollgate-state-{}", RandomId::new()))
}

pub(crate) fn setup(dir: &Path) -> Setup {
    Setup::with_quota(&format!("[state]\ndir = '{}'\n", dir.display()), QUOTA)
}

/// How many calls get through at once.
pub(crate) async fn room(stack: &Stack, setup: &Setup) -> usize {
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
    assert!(stack.state.unready().is_none());
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
        assert!(stack.state.unready().is_none(), "the other connection is usable");
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
    assert!(stack.state.unready().is_some());
    advance(Duration::from_secs(131)).await;
    assert!(stack.state.unready().is_none());
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
async fn a_rest_under_a_longer_window_than_that_of_now_is_no_unknown_state_after_a_restart() {
    let dir = folder();
    let head = format!("[state]\ndir = '{}'\n[vendor]\nhard_limit = \"2s\"\n", dir.display());
    let long = Setup::with_quota(&head, &QUOTA.replace("10s", "30s"));
    let short = with_connection(&long, "window = \"30s\"", "window = \"5s\"");
    let mut stack = Stack::new(&long);
    for _ in 0..2 {
        stack.call(request("GET", "/messages", &long.acme, "")).await;
    }
    stack.reload(&short.text).unwrap();
    drop(stack);
    assert_eq!(room(&Stack::new(&short), &short).await, 1, "two slots rest");
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

/// `setup` with other text in place of `acme`'s connection and what follows it.
pub(crate) fn with_connection(setup: &Setup, from: &str, to: &str) -> Setup {
    assert!(setup.text.contains(from), "{from} is in {}", setup.text);
    let text = setup.text.replacen(from, to, 1);
    Setup { text, acme: setup.acme.clone(), umbrella: setup.umbrella.clone() }
}

pub(crate) const CONNECTION: &str = "[[tenant.connection]]\nid = \"acme-prod\"\n";

#[tokio::test(start_paused = true)]
async fn slots_of_a_file_of_another_version_count_as_used() {
    let dir = folder();
    let setup = setup(&dir);
    let stack = Stack::new(&setup);
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    drop(stack);
    let path = file(&dir, "acme");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..8].copy_from_slice(b"TGSLOTS1");
    std::fs::write(path, bytes).unwrap();
    let stack = Stack::new(&setup);
    assert_eq!(room(&stack, &setup).await, 0, "only one call was made");
    advance(Duration::from_secs(71)).await;
    assert_eq!(room(&stack, &setup).await, 3);
    drop(stack);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 0, "written anew, it is read");
    advance(Duration::from_secs(11)).await;
    assert_eq!(room(&Stack::new(&setup), &setup).await, 3);
}

#[tokio::test(start_paused = true)]
async fn slots_of_a_folder_of_the_first_version_count_as_used() {
    for left in ["index", "connection+acme-prod+connection+acme-prod.slots"] {
        let dir = folder();
        let setup = setup(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(left), "connection/acme-prod connection/acme-prod\n").unwrap();
        let stack = Stack::new(&setup);
        for key in [&setup.acme, &setup.umbrella] {
            let answer = stack.call(request("GET", "/messages", key, "")).await;
            assert_eq!(answer.status.as_u16(), 429, "{left}");
        }
        assert!(!dir.join(left).exists());
        advance(Duration::from_secs(71)).await;
        let answer = stack.call(request("GET", "/messages", &setup.umbrella, "")).await;
        assert_eq!(answer.status.as_u16(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_index_or_key_makes_no_fresh_slots() {
    for lost in ["slots.index", "key"] {
        let dir = folder();
        let setup = setup(&dir);
        assert_eq!(room(&Stack::new(&setup), &setup).await, 3);
        std::fs::remove_file(dir.join(lost)).unwrap();
        let renamed =
            with_connection(&setup, CONNECTION, "[[tenant.connection]]\nid = \"renamed\"\n");
        assert_eq!(room(&Stack::new(&renamed), &renamed).await, 0, "{lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_in_the_state_folder_tells_a_token_or_where_it_stands() {
    let dir = folder();
    let setup = setup(&dir);
    room(&Stack::new(&setup), &setup).await;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            for secret in ["token-of", "tollgate-test-"] {
                assert!(!text.contains(secret), "{} in {}", secret, path.display());
            }
        }
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(dir.join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(start_paused = true)]
async fn after_a_ledger_lent_the_slots_a_folder_takes_all_for_used() {
    let dir = folder();
    let setup = setup(&dir);
    drop(Stack::new(&setup));
    // Nobody is at that port: what was lent is not known here in any case.
    let shared = format!("[shared]\nredis = \"redis://127.0.0.1:1\"\n{}", setup.text);
    drop(Stack::of_text(&shared, simulator::Server::new(simulator::Options::default())).unwrap());
    let stack = Stack::new(&setup);
    assert_eq!(room(&stack, &setup).await, 0);
    advance(Duration::from_millis(60_000 + 10_000 + 51)).await;
    assert_eq!(room(&stack, &setup).await, 3);
    drop(stack);
    assert_eq!(room(&Stack::new(&setup), &setup).await, 0, "from now on the folder knows");
}
