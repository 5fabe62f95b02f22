//! Usage: what was counted is what was called, over days, restarts and the ends of processes.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::time::advance;
use tollgate::clock;
use tollgate::ids::RandomId;
use tollgate::usage::EVERY;
use tollgate::usage::book::Counts;
use tollgate::usage::day::Day;
use tollgate::usage::folder::Folder;

use crate::cache::{inject, status as answers};
use crate::process::{Process, courier, status, tollgate};
use crate::rig::PORTS;
use crate::support::{Setup, Stack, request};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("tollgate-usage-{}", RandomId::new()))
}

fn setup(dir: &Path) -> Setup {
    let quota = "[quota]\ncalls = 3\nwindow = \"10s\"\nmax_wait = \"30s\"\n";
    Setup::with_quota(&format!("[state]\ndir = '{}'\n", dir.display()), quota)
}

fn usage(dir: &Path, more: &[&str]) -> Output {
    tollgate().args(["usage", "--state"]).arg(dir).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn row(day: Day, who: &str, counts: &Counts) -> String {
    let values: Vec<String> = counts.values().iter().map(u64::to_string).collect();
    format!("{day},{who},{}\n", values.join(","))
}

/// What a load comes to: of `acme`, of `acme` without a connection, of `umbrella`.
type Load = [Counts; 3];

/// Calls of every kind, ten of them an app's; one waits for 10.05 s.
async fn load(stack: &Stack, setup: &Setup) -> Load {
    const SEND: &str = "{\"message\":{}}";
    inject(stack, "messages.send", None, answers(500));
    let call = async |method: &str, target: &str, body: &str| {
        let answer = stack.call(request(method, target, &setup.acme, body)).await;
        (answer.status.as_u16(), answer.body.len() as u64)
    };
    let mut out = 0;
    let mut expect = |(status, octets): (u16, u64), right: u16| {
        assert_eq!(status, right);
        out += octets;
    };
    expect(call("GET", "/brands", "").await, 200);
    expect(call("GET", "/brands", "").await, 200);
    expect(call("POST", "/send", SEND).await, 500);
    expect(call("GET", "/messages", "").await, 200);
    for _ in 0..2 {
        let mut impatient = request("GET", "/messages", &setup.acme, "");
        impatient.headers_mut().insert("prefer", "wait=1".parse().unwrap());
        let answer = stack.call(impatient).await;
        assert_eq!(answer.code(), "deadline-too-near");
        expect((answer.status.as_u16(), answer.body.len() as u64), 429);
    }
    expect(call("GET", "/messages", "").await, 200);
    expect(call("DELETE", "/messages", "").await, 405);
    let acme = Counts {
        calls: 8,
        errors: 1,
        saved: 1,
        attempts: 4,
        waits: 1,
        wait_us: 10_050_000,
        deadline_too_near: 2,
        bytes_in: SEND.len() as u64,
        bytes_out: out,
        ..Counts::default()
    };
    let (status, octets) = call("GET", "/c/umbrella-prod/messages", "").await;
    assert_eq!(status, 403);
    let nowhere = Counts { calls: 1, bytes_out: octets, ..Counts::default() };
    let answer = stack.call(request("GET", "/messages", &setup.umbrella, "")).await;
    let octets = answer.body.len() as u64;
    let umbrella = Counts { calls: 1, attempts: 1, bytes_out: octets, ..Counts::default() };
    stack.call(request("GET", "/messages", "tg_nobody_x", "")).await;
    advance(Duration::from_secs(11)).await;
    [acme, nowhere, umbrella]
}

fn rows(day: Day, load: &Load) -> String {
    let names = ["acme,acme,", "acme,acme,acme-prod", "umbrella,umbrella,umbrella-prod"];
    let [acme, nowhere, umbrella] = load;
    names.iter().zip([nowhere, acme, umbrella]).map(|(who, counts)| row(day, who, counts)).collect()
}

/// A gateway after one that was dropped. A thread of the one before may still write to its folder,
/// which is taken as long as it does.
async fn started_again(setup: &Setup) -> Stack {
    loop {
        match Stack::try_with(setup, simulator::Options::default()) {
            Ok(stack) => return stack,
            Err(reason) => assert!(reason.ends_with("another process uses it"), "{reason}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_load_over_two_days_and_a_restart_is_told_to_the_last_call() {
    let dir = folder();
    let setup = setup(&dir);
    // An hour after midnight, whatever time it is; in whole seconds, as timers count milliseconds.
    let tomorrow = Day::of(clock::wall() + DAY).start() + HOUR;
    let left = tomorrow.duration_since(clock::wall()).unwrap();
    advance(Duration::from_secs(left.as_secs())).await;
    let stack = Stack::new(&setup);
    let first = Day::of(clock::wall());
    let of_first = load(&stack, &setup).await;
    advance(DAY).await;
    let second = Day::of(clock::wall());
    assert_eq!(second.since(first), 1);
    let mut of_second = load(&stack, &setup).await;
    stack.state.write_usage().await;
    drop(stack);
    let stack = started_again(&setup).await;
    let more = load(&stack, &setup).await;
    of_second.iter_mut().zip(&more).for_each(|(all, more)| all.add(more));
    stack.state.write_usage().await;

    let names: Vec<&str> = Counts::TABLE.iter().map(|(name, _)| *name).collect();
    let header = format!("day,tenant,app,connection,{}\n", names.join(","));
    for (day, load) in [(first, &of_first), (second, &of_second)] {
        let told = usage(&dir, &["--csv", "--day", &day.to_string()]);
        assert_eq!(text(&told.stdout), format!("{header}{}", rows(day, load)));
        assert_eq!((told.status.code(), text(&told.stderr)), (Some(0), String::new()));
    }
    let month = first.to_string()[..7].to_owned();
    let told = text(&usage(&dir, &["--csv", "--month", &month]).stdout);
    assert!(told.starts_with(&format!("{header}{}", rows(first, &of_first))), "{told}");

    let day = second.to_string();
    let json = usage(&dir, &["--json", "--day", &day]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json["from"], &json["complete"]), (&day.as_str().into(), &true.into()));
    let line = &json["usage"][1];
    assert_eq!((&line["app"], &line["calls"]), (&"acme".into(), &16.into()), "{line}");
    assert_eq!(json["usage"][0]["connection"], serde_json::Value::Null);
    let table = text(&usage(&dir, &["--day", &day]).stdout);
    let total: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(total, ["total", "20", "2", "4", "2", "10", "2", "20.100"], "{table}");
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_is_in_its_file_within_ten_seconds() {
    let dir = folder();
    let setup = setup(&dir);
    let stack = Stack::new(&setup);
    let today = Day::of(clock::wall());
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    let calls = || -> u64 {
        let rows = Folder::of(&dir).read(today).unwrap();
        rows.into_iter().flatten().map(|(_, counts)| counts.calls).sum()
    };
    assert_eq!(calls(), 0, "not on the path of the call");
    advance(EVERY).await;
    while calls() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_kept_until_it_can() {
    let dir = folder();
    let setup = setup(&dir);
    let stack = Stack::new(&setup);
    let today = Day::of(clock::wall());
    // No file can be made where a folder stands.
    std::fs::create_dir(dir.join("usage/new")).unwrap();
    for _ in 0..2 {
        stack.call(request("GET", "/messages", &setup.acme, "")).await;
        stack.state.write_usage().await;
    }
    assert_eq!(Folder::of(&dir).read(today), Ok(None));
    std::fs::remove_dir(dir.join("usage/new")).unwrap();
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    stack.state.write_usage().await;
    let rows = Folder::of(&dir).read(today).unwrap().unwrap();
    assert_eq!((rows.len(), rows[0].1.calls), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_told_to_stop_leaves_all_that_it_counted() {
    let (_courier, vendor) = courier().await;
    let dir = folder();
    let head = format!(
        "{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n[state]\ndir = '{}'\n",
        dir.display()
    );
    let setup = Setup::new(&head);
    let first = Day::of(clock::wall());
    for calls in [3, 4] {
        let mut process = Process::start(&setup);
        for _ in 0..calls {
            assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);
        }
        process.signal("TERM");
        process.line("stopped");
        assert_eq!(process.end().0.code(), Some(0));
    }
    let file = dir.join("config.toml");
    // A token that is not to be had here is no reason not to tell.
    std::fs::write(
        &file,
        setup.text.replace("token = { file", "token = { env = \"TOLLGATE_TEST_UNSET\" } #"),
    )
    .unwrap();
    let mut calls = 0;
    let days = std::collections::BTreeSet::from([first, Day::of(clock::wall())]);
    for day in days {
        let mut told = tollgate();
        told.args(["usage", "--csv", "--day", &day.to_string(), "--config"]).arg(&file);
        let told = told.output().unwrap();
        assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
        for line in text(&told.stdout).lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields[1..4], ["acme", "acme", "acme-prod"], "{line}");
            calls += fields[4].parse::<u32>().unwrap();
        }
    }
    assert_eq!(calls, 7);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said_and_exits_with_1() {
    let dir = folder();
    let nothing = usage(&dir, &[]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("not the state folder"), "{nothing:?}");

    let file = std::env::temp_dir().join(format!("tollgate-usage-{}.toml", RandomId::new()));
    std::fs::write(&file, "").unwrap();
    let nowhere = tollgate().arg("usage").arg("--config").arg(&file).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("--state DIR, or dir under [state]"), "{nowhere:?}");
    for wrong in [["--month", "2026-13"], ["--day", "yesterday"], ["--csv", "--json"]] {
        assert_eq!(usage(&dir, &wrong).status.code(), Some(2), "{wrong:?}");
    }

    let setup = setup(&dir);
    let stack = Stack::new(&setup);
    let none = usage(&dir, &["--day", "2026-11-24"]);
    assert_eq!(text(&none.stdout), "no calls from 2026-11-24 to 2026-11-24\n");
    assert_eq!(none.status.code(), Some(0));
    let today = Day::of(clock::wall()).to_string();
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    std::fs::write(dir.join(format!("usage/{today}.json")), "{").unwrap();
    let broken = usage(&dir, &["--csv", "--day", &today]);
    assert_eq!((broken.status.code(), text(&broken.stdout).lines().count()), (Some(1), 1));
    assert!(text(&broken.stderr).contains(&format!("usage of {today} is missing")), "{broken:?}");
    stack.state.write_usage().await;
    let aside = usage(&dir, &["--csv", "--day", &today]);
    assert_eq!((aside.status.code(), text(&aside.stdout).lines().count()), (Some(1), 2));
    assert!(text(&aside.stderr).contains(&format!("{today}.broken-1")), "{aside:?}");
}
