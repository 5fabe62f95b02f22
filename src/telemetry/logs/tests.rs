//! The lines of events and calls, in both forms.

use std::io;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::*;
use crate::error::Code;
use crate::record::{CallerMarks, Observer, QuotaMarks, RequestMarks, Wait};
use crate::targets;

/// Text that an outside party could send to break a line or a terminal.
const HOSTILE: &str =
    "x\n{\"level\":\"INFO\"}\r\x1b[2J\x1b]0;t\x07\u{9b}31m\u{85}\u{2028}\u{202e}\x7f\0 code=ok \"é";

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// What was written.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn around(terminal: bool, colours: bool) -> Surroundings {
    Surroundings { terminal, colours, rust_log: None }
}

fn wanted(toml: &str) -> LogSettings {
    toml::from_str(toml).unwrap()
}

/// What `act` logs under `wanted`.
fn logged(wanted: &LogSettings, around: &Surroundings, act: impl FnOnce()) -> String {
    let (targets, choice) = wanted.choose(around, &[]);
    let output = Output::default();
    let writer = output.clone();
    let layer = events(Arc::new(ArcSwap::from_pointee(choice)), move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(targets).with(layer);
    tracing::subscriber::with_default(subscriber, act);
    output.text()
}

/// The access line of a call under `wanted`.
fn access(wanted: &LogSettings, around: &Surroundings, marks: &Marks) -> String {
    access_of(&Record::open(Arc::new(Nobody)), wanted, around, marks)
}

fn access_of(
    record: &Record,
    wanted: &LogSettings,
    around: &Surroundings,
    marks: &Marks,
) -> String {
    let (_, choice) = wanted.choose(around, &[]);
    let output = Output::default();
    let mut writer = output.clone();
    let lines = Arc::new(Mutex::new(move |line: Vec<u8>| writer.write_all(&line).unwrap()));
    let log = AccessLog {
        choice: Arc::new(ArcSwap::from_pointee(choice)),
        ..AccessLog::new(move |line| lines.lock().unwrap()(line))
    };
    log.write(record, marks, &marks.breakdown(record.started), None);
    output.text()
}

fn answered(status: u16) -> Marks {
    let status = Some(StatusCode::from_u16(status).unwrap());
    Marks { status, complete: true, ..Marks::default() }
}

/// True for one line without characters that control a terminal.
fn is_one_tame_line(text: &str) -> bool {
    let Some(line) = text.strip_suffix('\n') else { return false };
    !line.chars().any(|c| c.is_control() || "\u{2028}\u{2029}\u{202e}".contains(c))
}

#[test]
fn hostile_values_stay_in_their_line_and_in_their_field() {
    for format in ["json", "human"] {
        let wanted = wanted(&format!("format = \"{format}\""));
        let text = logged(&wanted, &around(true, false), || {
            let cause = HOSTILE.to_owned();
            tracing::warn!(cause, error = %HOSTILE, debug = ?HOSTILE, code = "x", "failed {HOSTILE}");
        });
        assert!(is_one_tame_line(&text), "{format}: {text:?}");
        let marks = Marks {
            request: RequestMarks {
                id: Some(HOSTILE.into()),
                method: http::Method::from_bytes(b"PUT\x60").unwrap(),
                ..RequestMarks::default()
            },
            ..answered(200)
        };
        let line = access(&wanted, &around(true, false), &marks);
        assert!(is_one_tame_line(&line), "{format}: {line:?}");
        if format == "json" {
            let event: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&event["cause"], &event["error"]), (&HOSTILE.into(), &HOSTILE.into()));
            assert_eq!((&event["level"], &event["code"]), (&"WARN".into(), &"x".into()));
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["request_id"], HOSTILE);
        } else {
            assert!(!text.contains("  code=ok"), "{text}");
        }
    }
}

#[test]
fn the_lines_of_events_and_of_calls_begin_with_the_same_members() {
    let lines = [
        logged(&wanted(""), &around(false, false), || {
            tracing::warn!(count = 3_u64, good = true, wait_s = 0.5, level = "mine", "said {}", 1);
        }),
        access(&wanted(""), &around(false, false), &answered(200)),
    ];
    let names = |line: &str| -> Vec<String> {
        let members = line.split(",\"").map(|member| member.split('"'));
        members.map(|mut part| part.find(|text| *text != "{").unwrap().to_owned()).collect()
    };
    for line in &lines {
        assert_eq!(names(line)[..4], ["ts", "level", "target", "message"], "{line}");
        let json: Value = serde_json::from_str(line).unwrap();
        let ts = json["ts"].as_str().unwrap();
        assert!(ts.len() == 24 && ts.ends_with('Z'), "{ts}");
        assert!(json["message"].is_string() && json["target"].is_string(), "{line}");
    }
    let event: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&event["level"], &event["message"]), (&"WARN".into(), &"said 1".into()));
    assert_eq!((&event["count"], &event["good"]), (&3.into(), &true.into()));
    assert_eq!((&event["wait_s"], &event["event_level"]), (&0.5.into(), &"mine".into()));
    let call: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!((&call["target"], &call["message"]), (&"access".into(), &"GET - 200".into()));
}

#[test]
fn each_member_of_the_line_of_a_call_is_documented() {
    let page = std::fs::read_to_string("docs/logs.md").unwrap();
    let line = access(&wanted(""), &around(false, false), &answered(200));
    let line: serde_json::Map<String, Value> = serde_json::from_str(&line).unwrap();
    for name in line.keys() {
        assert!(page.contains(&format!("\n| `{name}` |")), "{name}");
    }
}

#[test]
fn a_warning_is_what_an_operator_may_have_to_look_at() {
    let own = |code: Code| Marks { code: Some(code), ..answered(code.status().as_u16()) };
    let warnings = [
        answered(500),
        answered(503),
        own(Code::VendorDown),
        own(Code::VendorThrottled),
        own(Code::Internal),
        Marks { quota: QuotaMarks { throttled: true, ..QuotaMarks::default() }, ..answered(429) },
        Marks { broken: true, complete: false, ..answered(200) },
    ];
    let good = [
        answered(200),
        answered(404),
        own(Code::QuotaExhausted),
        own(Code::Unauthenticated),
        own(Code::NotCached),
        Marks { complete: false, ..answered(200) },
        Marks::default(),
    ];
    let (all, warn) = (wanted(""), wanted("levels = { access = \"warn\" }"));
    for (marks, level) in
        warnings.iter().map(|m| (m, "WARN")).chain(good.iter().map(|m| (m, "INFO")))
    {
        let line = access(&all, &around(false, false), marks);
        let json: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["level"], level, "{line}");
        assert_eq!(access(&warn, &around(false, false), marks).is_empty(), level == "INFO");
    }
}

#[test]
fn the_longest_target_that_fits_decides_and_access_is_one_of_them() {
    let settings =
        wanted("level = \"warn\"\nlevels = { \"tollgate::server\" = \"debug\", access = \"off\" }");
    let text = logged(&settings, &around(false, false), || {
        tracing::debug!(target: "tollgate::server::connection", "one");
        tracing::info!(target: "tollgate::edge::respond", "two");
        tracing::warn!(target: "tollgate::edge::respond", "three");
    });
    let messages: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone())
        .collect();
    assert_eq!(messages, ["one", "three"]);
    assert_eq!(access(&settings, &around(false, false), &answered(500)), "");
    assert_eq!(access(&wanted("level = \"warn\""), &around(false, false), &answered(200)), "");
    assert_ne!(access(&wanted("level = \"trace\""), &around(false, false), &answered(200)), "");
}

#[test]
fn libraries_say_no_more_than_warnings() {
    for (level, lines) in [("trace", 1), ("warn", 1), ("error", 0)] {
        let text = logged(&wanted(&format!("level = \"{level}\"")), &around(false, false), || {
            tracing::info!(target: "h2::proto", "a header");
            tracing::warn!(target: "rustls::common_state", "something");
        });
        assert_eq!(text.lines().count(), lines, "{level}: {text}");
    }
}

#[test]
fn the_library_that_is_told_a_password_never_logs() {
    let all = Surroundings { rust_log: Some("trace".parse().unwrap()), ..around(false, false) };
    for around in [around(false, false), all] {
        let text = logged(&wanted("level = \"trace\""), &around, || {
            tracing::error!(target: "redis::cluster_async", "hunter2");
            tracing::error!(target: "tollgate::shared", "one");
        });
        assert!(text.contains("one") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn rust_log_stands_in_place_of_the_levels() {
    let around = Surroundings {
        rust_log: Some("warn,tollgate::edge=debug".parse().unwrap()),
        ..around(false, false)
    };
    let text = logged(&wanted("level = \"trace\""), &around, || {
        tracing::debug!(target: "tollgate::edge::respond", "one");
        tracing::info!(target: "tollgate::server", "two");
    });
    assert!(text.contains("one") && !text.contains("two"), "{text}");
    assert_eq!(access(&wanted(""), &around, &answered(200)), "");
    assert_ne!(access(&wanted(""), &around, &answered(502)), "");
}

#[test]
fn people_get_short_lines_on_a_terminal_and_programs_json() {
    let mut marks = Marks {
        request: RequestMarks {
            id: Some("of-the-client".into()),
            method: http::Method::POST,
            ..RequestMarks::default()
        },
        caller: CallerMarks { app: Some("billing".parse().unwrap()), ..CallerMarks::default() },
        ..answered(200)
    };
    let record = Record::open(Arc::new(Nobody));
    let (entered, left) = (record.started, record.started + Duration::from_millis(20));
    marks.timeline.waited(Wait { left, ..Wait::begins(entered, None) });
    marks.ended_at = Some(left);
    let line = access_of(&record, &wanted(""), &around(true, false), &marks);
    let words: Vec<&str> = line.split_whitespace().collect();
    let [time, rest @ ..] = words.as_slice() else { panic!("{line}") };
    assert_eq!(
        (time.len(), rest[0], rest[1], rest[2], rest[3]),
        (12, "200", "POST", "-", "billing")
    );
    assert_eq!(&rest[5..], ["queue", "20ms", "-", "ok"], "{line}");
    assert!(line.len() < 120 && !line.contains("of-the-client"), "{line}");
    assert!(access(&wanted(""), &around(false, false), &marks).starts_with('{'));
    assert!(access(&wanted("format = \"json\""), &around(true, true), &marks).starts_with('{'));
    assert!(!access(&wanted("format = \"human\""), &around(false, false), &marks).starts_with('{'));
}

#[test]
fn colours_are_for_terminals_without_no_color() {
    let event = || tracing::warn!("careful");
    let coloured = around(true, true);
    assert!(logged(&wanted(""), &coloured, event).contains("\x1b[33mWARN \x1b[0m"));
    assert!(access(&wanted(""), &coloured, &answered(200)).contains("\x1b[32m200\x1b[0m"));
    for plain in [around(true, false), around(false, false)] {
        let human = wanted("format = \"human\"");
        assert!(!logged(&human, &plain, event).contains('\x1b'));
        assert!(!access(&human, &plain, &answered(200)).contains('\x1b'));
    }
}

#[test]
fn each_module_that_logs_has_a_target_that_is_documented() {
    let mut folders = vec![std::path::PathBuf::from("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let logs = ["error", "warn", "info", "debug", "trace"];
            let lines = |what: &str| text.matches(what).count();
            let own: usize = logs.iter().map(|level| lines(&format!("tracing::{level}!("))).sum();
            // A line that names its target does not take the name of its module.
            if own > lines("target: targets::") && !path.ends_with("logs/tests.rs") {
                let below = path.strip_prefix("src").unwrap().with_extension("");
                let module = below.components().next().unwrap().as_os_str().to_string_lossy();
                let target = format!("tollgate::{module}");
                assert!(Target::ALL.iter().any(|t| t.as_str() == target), "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "only {seen} files log: does the search still work?");
    for named in [targets::AUDIT, targets::EDGE, targets::VENDOR, targets::USAGE] {
        assert!(Target::ALL.iter().any(|target| target.as_str() == named), "{named}");
    }
    let schema = schemars::schema_for!(LogSettings).to_value();
    let help = schema["properties"]["levels"]["description"].to_string();
    for target in Target::ALL {
        assert!(help.contains(&format!("`{}`", target.as_str())), "{target:?}: {help}");
        assert_eq!(serde_json::to_value(target).unwrap(), target.as_str());
    }
}
