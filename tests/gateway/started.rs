//! What the log says of a start.

use tollgate::ids::RandomId;

use crate::process::{Process, courier, setup, status};
use crate::support::Setup;

/// The same with its own state folder.
fn keeping(mut setup: Setup) -> Setup {
    let folder = std::env::temp_dir().join(format!("tollgate-started-{}", RandomId::new()));
    setup.text = format!("[state]\ndir = '{}'\n{}", folder.display(), setup.text);
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_says_what_runs_and_how_many_slots_came_over() {
    let (_courier, vendor) = courier().await;
    let setup = keeping(setup(vendor));
    let mut process = Process::start(&setup);
    let line = process.line("started");
    let file = process.file.display().to_string();
    assert_eq!(
        (&line["version"], &line["file"]),
        (&env!("CARGO_PKG_VERSION").into(), &file.into())
    );
    for (name, count) in [("tenants", 2), ("apps", 2), ("connections", 2), ("restored_slots", 0)] {
        assert_eq!(line[name], count, "{name}");
    }
    assert_eq!((&line["mode"], &line["admin"]), (&"enforce".into(), &serde_json::Value::Null));
    let (data, ops) = (process.data.to_string(), process.ops.to_string());
    assert_eq!((&line["data"], &line["ops"]), (&data.into(), &ops.into()));
    for _ in 0..3 {
        assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);
    }
    process.signal("TERM");
    assert_eq!(process.end().0.code(), Some(0));
    assert_eq!(Process::start(&setup).line("started")["restored_slots"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_says_whether_the_quota_holds_calls_back() {
    let (_courier, vendor) = courier().await;
    let shadow = "mode = \"shadow\"\ncalls = 100000";
    for (all, umbrella, mode) in [(shadow, "", "shadow"), ("", ", mode = \"shadow\"", "mixed")] {
        let mut setup = setup(vendor);
        if !all.is_empty() {
            setup.text = setup.text.replace("calls = 100000", all);
        }
        let quota = format!("id = \"umbrella-prod\"\nquota = {{ calls = 9{umbrella} }}\n");
        setup.text = setup.text.replace("id = \"umbrella-prod\"\n", &quota);
        assert_eq!(Process::start(&setup).line("started")["mode"], mode);
    }
}
