//! A state folder that can't be written costs no call; operators hear of it before the restart that
//! would miss it.

use std::path::{Path, PathBuf};

use tollgate::app::Gateway;
use tollgate::config::Config;
use tollgate::ids::RandomId;
use tollgate::telemetry::logs::AccessLog;

use crate::page::Page;
use crate::rig::{PORTS, raw};
use crate::support::{Setup, Stack, request};

fn keeping(calls: u32) -> (Setup, PathBuf) {
    let folder = std::env::temp_dir().join(format!("tollgate-unwritten-{}", RandomId::new()));
    let head = format!("[state]\ndir = '{}'\n", folder.display());
    (Setup::with_quota(&head, &format!("[quota]\ncalls = {calls}\n")), folder)
}

/// How many files of each kind can't be written, by the metric; readiness says the same.
async fn unwritten(stack: &Stack) -> [f64; 3] {
    let kinds = ["slots", "made-keys", "usage"];
    let page = Page::of(&stack.state).await;
    let files = kinds.map(|kind| page.sum("tollgate_state_files_unwritten", &[("kind", kind)]));
    let said = stack.state.readiness();
    assert!(stack.state.unready().is_none() && said.starts_with("ok\n"), "{said}");
    let told = kinds.map(|kind| said.contains(kind));
    assert_eq!(told, files.map(|count| count > 0.0), "{said}");
    files
}

/// The files of slots.
fn slots(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "slots")).collect()
}

#[tokio::test]
async fn slots_that_cannot_be_written_are_told_until_they_can() {
    let (mut setup, folder) = keeping(50);
    let mut stack = Stack::new(&setup);
    assert_eq!(unwritten(&stack).await, [0.0; 3]);
    // Nothing can be written where a folder stands.
    let files = slots(&folder);
    for file in &files {
        std::fs::remove_file(file).unwrap();
        std::fs::create_dir(file).unwrap();
    }
    setup.text = setup.text.replace("calls = 50", "calls = 60");
    stack.reload(&setup.text).unwrap();
    assert_eq!(unwritten(&stack).await, [files.len() as f64, 0.0, 0.0]);
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(answer.status.as_u16(), 200, "calls go on");
    files.iter().for_each(|file| std::fs::remove_dir(file).unwrap());
    setup.text = setup.text.replace("calls = 60", "calls = 70");
    stack.reload(&setup.text).unwrap();
    assert_eq!(unwritten(&stack).await, [0.0; 3]);
}

#[tokio::test]
async fn usage_that_cannot_be_written_is_told_until_it_can() {
    let (setup, folder) = keeping(50);
    let stack = Stack::new(&setup);
    let stands = folder.join("usage").join("new");
    std::fs::create_dir(&stands).unwrap();
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    stack.state.write_usage().await;
    assert_eq!(unwritten(&stack).await, [0.0, 0.0, 1.0]);
    std::fs::remove_dir(&stands).unwrap();
    stack.state.write_usage().await;
    assert_eq!(unwritten(&stack).await, [0.0; 3]);
}

#[tokio::test]
async fn readiness_stays_good_and_says_what_would_be_missed() {
    let (setup, folder) = keeping(50);
    let text = format!("{PORTS}{}", setup.text);
    let gateway = Gateway::start(Config::parse(&text).unwrap(), AccessLog::none()).await.unwrap();
    let ready = async || {
        let ask = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = raw(gateway.ops, ask, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    assert_eq!(ready().await, "ok\n");
    std::fs::create_dir(folder.join("usage").join("new")).unwrap();
    raw(
        gateway.data,
        format!(
            "GET /.tollgate/me HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nConnection: close\r\n\r\n",
            setup.acme
        )
        .as_bytes(),
        "",
    )
    .await;
    // The record ends with the answer's body, perhaps a moment after the socket.
    while ready().await == "ok\n" {
        gateway.state().write_usage().await;
    }
    assert_eq!(ready().await, "ok\nthe state folder can't be written: usage\n");
}

#[tokio::test]
async fn a_state_folder_that_is_removed_is_told_of_with_all_that_it_kept() {
    let (setup, folder) = keeping(50);
    let stack = Stack::new(&setup);
    let files = slots(&folder).len() as f64;
    std::fs::remove_dir_all(&folder).unwrap();
    let lost = unwritten(&stack).await;
    assert_eq!(lost[..2], [files + 1.0, 1.0], "slots with their index, made keys");
    assert!(stack.state.readiness().contains("removed or replaced"));
    // One that is made again is perhaps another process's: usage alone needs no past.
    std::fs::create_dir(&folder).unwrap();
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(answer.status.as_u16(), 200, "calls go on");
    stack.state.write_usage().await;
    assert_eq!(unwritten(&stack).await, [files + 1.0, 1.0, 0.0]);
    assert_eq!(std::fs::read_dir(folder.join("usage")).unwrap().count(), 1);
    assert!(slots(&folder).is_empty());
}

#[tokio::test]
async fn slots_that_are_removed_from_a_folder_that_stands_are_written_anew() {
    let (setup, folder) = keeping(50);
    let stack = Stack::new(&setup);
    let answer = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(answer.status.as_u16(), 200);
    let before: Vec<Vec<u8>> =
        slots(&folder).iter().map(|file| std::fs::read(file).unwrap()).collect();
    slots(&folder).iter().for_each(|file| std::fs::remove_file(file).unwrap());
    assert_eq!(unwritten(&stack).await, [0.0; 3]);
    let after = slots(&folder);
    assert_eq!(after.len(), before.len());
    for (file, before) in after.iter().zip(&before) {
        assert_eq!(std::fs::metadata(file).unwrap().len(), before.len() as u64);
    }
}
