//! What is remembered of keys: only what was sent takes room, and with a state folder what recognises
//! an SDK's retry outlives the process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use simulator::Effect;
use tokio::time::advance;
use tollgate::ids::RandomId;

use crate::keys::{committed, given, keys, lost, next, sdk, send};
use crate::support::{Setup, Stack, request};

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("tollgate-keys-{}", RandomId::new()))
}

fn with_state(dir: &Path) -> Setup {
    Setup::new(&format!("[state]\ndir = '{}'\n", dir.display()))
}

/// A new process before the same vendor, a little later.
async fn restart(stack: Stack, setup: &Setup) -> Stack {
    let courier = stack.courier.clone();
    drop(stack);
    advance(Duration::from_secs(1)).await;
    Stack::before(setup, courier).unwrap()
}

/// A send whose outcome is unknown.
async fn broken(stack: &Stack, setup: &Setup, text: &str) {
    next(stack, 8, lost());
    assert_eq!(stack.call(sdk(setup, text, 0)).await.header("tollgate-outcome"), "unknown");
    next(stack, 0, Effect::default());
}

#[tokio::test(start_paused = true)]
async fn refused_calls_are_not_remembered_and_count_as_no_keys() {
    let quota = "[quota]\ncalls = 2\nwindow = \"60s\"\nmax_wait = \"1s\"\n";
    let setup = Setup::with_quota("[vendor]\nhard_limit = \"10s\"\nfirst_byte = \"10s\"\n", quota);
    let stack = Stack::new(&setup);
    next(&stack, 8, lost());
    assert_eq!(stack.call(sdk(&setup, "a", 0)).await.status.as_u16(), 502);
    next(&stack, 0, Effect::default());
    let octets = stack.state.keys().octets();
    assert!(octets > 0);
    let page = stack.state.metrics().page();
    for n in 0..300 {
        // Without a body it is not refused before the keys.
        let mut made = request("POST", "/send", &setup.acme, "");
        made.headers_mut().insert("x-stainless-retry-count", "0".parse().unwrap());
        let mut own = request("POST", "/send", &setup.acme, "");
        own.headers_mut().insert("idempotency-key", format!("k{n}").parse().unwrap());
        for call in [made, own, request("POST", "/send", &setup.acme, "")] {
            assert_eq!(stack.call(call).await.status.as_u16(), 429);
        }
    }
    assert_eq!(stack.state.keys().octets(), octets);
    let made = |page: &str| page.lines().find(|line| line.contains("made\"} ")).map(str::to_owned);
    assert_eq!(made(&stack.state.metrics().page()), made(&page));
    advance(Duration::from_secs(75)).await;
    assert_eq!(stack.call(sdk(&setup, "a", 1)).await.status.as_u16(), 202);
    assert_eq!(committed(&stack), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_restart_has_the_key_of_the_request_before_it() {
    let setup = with_state(&folder());
    let stack = Stack::new(&setup);
    broken(&stack, &setup, "a").await;
    let stack = restart(stack, &setup).await;
    advance(Duration::from_secs(100)).await;
    assert_eq!(stack.call(sdk(&setup, "a", 1)).await.status.as_u16(), 202);
    let all = keys(&stack);
    assert!(all.iter().all(|key| *key == all[0] && !key.is_empty()), "{all:?}");
    assert_eq!(committed(&stack), 1);
    // The answer was lost on its way to the client, with the process.
    let stack = restart(stack, &setup).await;
    assert_eq!(stack.call(sdk(&setup, "a", 2)).await.status.as_u16(), 202);
    assert_eq!(committed(&stack), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_without_a_count_has_its_key_after_a_restart_too() {
    let setup = with_state(&folder());
    let stack = Stack::new(&setup);
    let call = || send(&setup.acme, "a", &[("user-agent", "courier-node/5.7.0")]);
    next(&stack, 8, lost());
    assert_eq!(stack.call(call()).await.header("tollgate-outcome"), "unknown");
    next(&stack, 0, Effect::default());
    let stack = restart(stack, &setup).await;
    assert_eq!(stack.call(call()).await.status.as_u16(), 202);
    let all = keys(&stack);
    assert!(all.iter().all(|key| *key == all[0] && !key.is_empty()), "{all:?}");
    // That one was accepted, which outlives the process as well.
    let stack = restart(stack, &setup).await;
    assert_eq!(stack.call(call()).await.status.as_u16(), 202);
    assert_ne!(keys(&stack).last(), all.last());
    assert_eq!(committed(&stack), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_state_folder_a_restart_forgets() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    broken(&stack, &setup, "a").await;
    let stack = restart(stack, &setup).await;
    assert_eq!(stack.call(sdk(&setup, "a", 1)).await.status.as_u16(), 202);
    let all = keys(&stack);
    assert_ne!(all.first(), all.last());
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_take_a_wanted_send_for_one_that_was_accepted() {
    let setup = with_state(&folder());
    let stack = Stack::new(&setup);
    assert_eq!(stack.call(sdk(&setup, "a", 0)).await.status.as_u16(), 202);
    broken(&stack, &setup, "a").await;
    let first = keys(&stack)[0].clone();
    let stack = restart(stack, &setup).await;
    assert_eq!(stack.call(sdk(&setup, "a", 1)).await.status.as_u16(), 202);
    assert_ne!(keys(&stack).last(), Some(&first));
    assert_eq!(committed(&stack), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_or_damaged_is_forgotten_and_a_new_key_is_made() {
    let damages: [fn(&Path); 4] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, "nothing of ours").unwrap(),
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[150] ^= 1;
            std::fs::write(path, bytes).unwrap();
        },
        |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..200]).unwrap();
        },
    ];
    for damage in damages {
        let dir = folder();
        let setup = with_state(&dir);
        let stack = Stack::new(&setup);
        broken(&stack, &setup, "a").await;
        let courier = stack.courier.clone();
        drop(stack);
        damage(&dir.join("made-keys"));
        advance(Duration::from_secs(1)).await;
        let stack = Stack::before(&setup, courier).unwrap();
        assert_eq!(stack.call(sdk(&setup, "a", 1)).await.status.as_u16(), 202);
        let all = keys(&stack);
        assert_ne!(all.first(), all.last());
        // What is written from now on is whole again.
        broken(&stack, &setup, "b").await;
        let last = keys(&stack).last().cloned();
        let stack = restart(stack, &setup).await;
        assert_eq!(stack.call(sdk(&setup, "b", 1)).await.status.as_u16(), 202);
        assert_eq!(keys(&stack).last().cloned(), last);
    }
    let setup = with_state(&folder());
    let stack = Stack::new(&setup);
    broken(&stack, &setup, "a").await;
    let first = keys(&stack).last().cloned();
    let stack = restart(stack, &setup).await;
    advance(Duration::from_secs(120)).await;
    assert_eq!(stack.call(sdk(&setup, "a", 1)).await.status.as_u16(), 202);
    assert_ne!(keys(&stack).last().cloned(), first);
}

#[tokio::test(start_paused = true)]
async fn the_journal_is_its_owners_and_holds_nothing_that_a_client_gave() {
    let dir = folder();
    let setup = with_state(&dir);
    let stack = Stack::new(&setup);
    broken(&stack, &setup, "what-was-said").await;
    stack.call(given(&setup, "what-was-said", "a-clients-key")).await;
    stack.call(send(&setup.acme, "what-was-said", &[])).await;
    let path = dir.join("made-keys");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 256, "a header and one row");
    let text = String::from_utf8_lossy(&bytes);
    for word in ["what-was-said", "a-clients-key", "acme", "token", setup.acme.as_str()] {
        assert!(!text.contains(word), "{word}");
    }
}
