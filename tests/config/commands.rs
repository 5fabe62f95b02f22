//! Command lines: which are taken, and what is said of wrong ones.

use std::process::{Command, Output};

use crate::{KEY, app, scratch, tenant, tollgate};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    for name in ["TOLLGATE_CONFIG", "TOLLGATE_ADMIN", "TOLLGATE_OPS", "STATE_DIRECTORY"] {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied()).output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A command line, what its message says is wrong, and what would be right.
type Wrong = (&'static [&'static str], &'static str, &'static str);

const ADDRESS: &str = "write host and port, such as \"127.0.0.1:8080\"";
const WRONG: [Wrong; 33] = [
    (&[], "Usage: tollgate", "Commands:"),
    (&["sevre"], "'sevre'", "'serve'"),
    (&["chek", "x.toml"], "'chek'", "'check'"),
    (&["simulat"], "'simulat'", "'simulate'"),
    (&["--config", "x.toml", "serve"], "'--config'", "Usage: tollgate"),
    (&["serve", "a.toml", "b.toml"], "'b.toml'", "Usage: tollgate serve"),
    (&["serve", "a.toml", "--config", "b.toml"], "cannot be used with", "Usage: tollgate serve"),
    (&["serve", "--config"], "'--config <FILE>'", "write the value behind it"),
    (&["serve", "--confg", "a.toml"], "'--confg'", "'--config'"),
    (&["serve", "--config="], "a value is required", "write the value behind it"),
    (&["serve", "--port", "80"], "'--port'", "Usage: tollgate serve"),
    (&["check", "a.toml", "b.toml"], "'b.toml'", "Usage: tollgate check"),
    (&["check", "--conf", "a.toml"], "'--conf'", "'--config'"),
    (&["check", "--no-secret"], "'--no-secret'", "'--no-secrets'"),
    (&["check", "--onlin"], "'--onlin'", "'--online'"),
    (&["check", "--online", "--no-secrets"], "cannot be used with", "Usage: tollgate check"),
    (&["check", ""], "a value is required for '[FILE]'", "write the value behind it"),
    (&["demo", "--for", "20"], "'20' is not a duration", "write a whole number and ms, s, m or h"),
    (&["demo", "--fault"], "'--fault'", "'--faults'"),
    (&["simulate", "--listen", ":4010"], "the host is missing", ADDRESS),
    (&["simulate", "--listen", "4010"], "the host is missing", ADDRESS),
    (&["simulate", "--listen", "localhost"], "the port is missing", ADDRESS),
    (&["simulate", "--listen", "*:4010"], "'*:4010' is no address", ADDRESS),
    (&["simulate", "--seed", "x"], "'x'", "a seed is a whole number"),
    (&["healthcheck", "--ops", "http://127.0.0.1:9090"], "it is a URL", ADDRESS),
    (&["healthcheck", "--ops", "127.0.0.1:99999"], "no number from 0 to 65535", ADDRESS),
    (&["explain", "--admin", "ftp://127.0.0.1:9091"], "it is a URL", ADDRESS),
    (&["explain", "xyz"], "not a call id", "32 hex digits"),
    (&["usage", "--monht", "2026-11"], "'--monht'", "'--month'"),
    (&["usage", "--month", "11/2026"], "is not a month", "write it as 2026-11"),
    (&["usage", "--csv", "--json"], "cannot be used with", "Usage: tollgate usage"),
    (&["keys", "new"], "--app <APP>", "Usage: tollgate keys new"),
    (&["keys", "new", "--app", "Bad Name"], "'Bad Name' is not a name", "use 1 to 64 characters"),
];

#[test]
fn a_wrong_command_line_is_told_what_is_wrong_and_what_would_be_right() {
    let mut poor = Vec::new();
    for (arguments, what, right) in WRONG {
        let output = run(arguments, &[]);
        let (_, said) = texts(&output);
        let good = output.status.code() == Some(2) && said.contains(what) && said.contains(right);
        poor.extend((!good).then(|| format!("{arguments:?}: {:?} {said}", output.status)));
    }
    assert!(poor.is_empty(), "{poor:#?}");
    let output = run(&["serve"], &[("TOLLGATE_CONFIG", "")]);
    let (_, said) = texts(&output);
    assert!(
        output.status.code() == Some(2) && said.contains("write FILE behind the command"),
        "{said}"
    );
    let output = run(&["explain"], &[("TOLLGATE_ADMIN", "9091")]);
    let (_, said) = texts(&output);
    assert!(output.status.code() == Some(2) && said.contains(ADDRESS), "{said}");
}

#[test]
fn the_file_stands_alone_or_behind_the_option_or_in_the_variable() {
    let file = scratch("form.toml", &tenant("acme", "tok-1", &app("billing", "k1", "")));
    let file = file.to_str().unwrap();
    for (arguments, variables) in [
        (vec!["check", file], vec![]),
        (vec!["check", "--config", file], vec![]),
        (vec!["check"], vec![("TOLLGATE_CONFIG", file)]),
        (vec!["check", file], vec![("TOLLGATE_CONFIG", "/nowhere")]),
    ] {
        let output = run(&arguments, &variables);
        let (said, wrong) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{wrong}");
        assert!(
            said.contains("form.toml: good: 1 tenants, 1 connections, 1 apps, 1 keys"),
            "{said}"
        );
    }
    let broken = scratch("form.toml", "[server]\nlisten = 1\n");
    let broken = broken.to_str().unwrap();
    for arguments in [["serve", broken].as_slice(), &["serve", "--config", broken]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(64));
        assert!(texts(&output).1.contains("form.toml:2:10: server.listen is a number"));
    }
}

#[test]
fn a_check_without_secrets_reads_none_and_finds_all_else() {
    let text = "[server]\ntls = { cert = \"/nowhere/c\", key = \"/nowhere/k\" }\n[state]\ndir = \"/nowhere/at/all\"\n\
                [traces]\nendpoint = \"https://otlp.example\"\nheaders = { a = { env = \"TOLLGATE_TEST_UNSET\" } }\n\
                [[tenant]]\nid = \"a\"\n[[tenant.connection]]\nid = \"c\"\ntoken = { file = \"/nowhere/t\" }\n";
    let text = format!("{text}{}", app("billing", "k1", ""));
    let file = scratch("ci.toml", &text);
    let file = file.to_str().unwrap();
    let output = run(&["check", "--no-secrets", file], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", texts(&output).1);
    let output = run(&["check", file], &[]);
    let (_, said) = texts(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for place in ["ci.toml:2:1: ", "ci.toml:4:1: ", "ci.toml:7:1: ", "ci.toml:12:1: "] {
        assert!(said.contains(place), "{place}: {said}");
    }
    let wrong = scratch("ci.toml", &text.replace("weight", "").replace(KEY, "x"));
    let output = run(&["check", "--no-secrets", wrong.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn a_state_folder_that_cannot_be_used_is_a_problem_of_the_check() {
    let whole = tenant("acme", "tok-1", &app("billing", "k1", ""));
    let there = scratch("taken", "");
    let inside = there.join("state").display().to_string();
    let there = there.display().to_string();
    for (dir, reason) in [
        (there.as_str(), "is a file: name a folder"),
        (inside.as_str(), "stands below a file"),
        ("/nowhere/at/all", "has no parent: '/nowhere/at' is not there; make it"),
        ("/proc/tollgate", "cannot be written by this user"),
    ] {
        let file = scratch("state.toml", &format!("[state]\ndir = '{dir}'\n{whole}"));
        let output = run(&["check", file.to_str().unwrap()], &[]);
        let (_, said) = texts(&output);
        assert_eq!(output.status.code(), Some(64), "{said}");
        let wanted = format!("state.toml:2:1: state folder '{dir}' {reason}");
        assert!(said.contains(&wanted), "{wanted}: {said}");
        let plain = scratch("state.toml", &whole);
        let output = run(&["check", plain.to_str().unwrap()], &[("STATE_DIRECTORY", dir)]);
        let (_, said) = texts(&output);
        assert!(
            said.contains(&format!("state folder '{dir}' (of STATE_DIRECTORY) {reason}")),
            "{said}"
        );
    }
}

#[test]
fn usage_takes_the_folder_of_the_variable_where_there_is_no_configuration() {
    let folder = std::env::temp_dir().join(format!("tollgate-usage-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("usage")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.current_dir(&folder).env_remove("TOLLGATE_CONFIG").env("STATE_DIRECTORY", &folder);
    let output = command.args(["usage", "--csv"]).output().unwrap();
    assert!(output.status.success(), "{}", texts(&output).1);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn problems_and_warnings_are_said_in_one_run_and_a_note_is_no_problem() {
    let catalog = scratch(
        "catalog.toml",
        "[[operation]]\nid = \"x\"\ngroup = \"x\"\nmethod = \"GET\"\npath = \"x\"\naccess = \"read\"\n",
    );
    let rest = tenant("acme", "tok-1", &app("billing", "k1", "weight = 0\n"));
    let text = format!("[vendor]\ncatalog = '{}'\n{rest}", catalog.display());
    let file = scratch("both.toml", &text);
    let (code, said) = tollgate(&["check", file.to_str().unwrap()]);
    assert_eq!(code, Some(64), "{said}");
    let found: Vec<_> = said.lines().collect();
    for (line, part) in [
        "weight must be 1 or more",
        "path 'x' must begin with '/'",
        "both.toml:2:1: warning: scopes, [cache] and what calls cost are not checked",
        "both.toml:10:22: warning: key 'k1' has a placeholder",
        "both.toml: 2 problems, 2 warnings",
    ]
    .iter()
    .enumerate()
    {
        assert!(found.get(line).is_some_and(|found| found.contains(part)), "{line} {part}: {said}");
    }
    // A start says why there is none.
    let (_, said) = tollgate(&["serve", file.to_str().unwrap()]);
    assert!(said.contains("both.toml: 2 problems") && !said.contains("warning"), "{said}");
}
