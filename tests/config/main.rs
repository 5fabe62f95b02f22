//! The configuration: what is accepted, what is refused and how the refusal reads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod commands;
mod gate;
mod wrong;

use std::path::PathBuf;
use std::process::Command;

use tollgate::config::{self, Config};

const KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A file in a folder of the test's own.
fn scratch(name: &str, contents: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tollgate-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // A name of its own for each: tests run side by side.
    let path = folder.join(format!("{}-{name}", tollgate::ids::RandomId::new()));
    std::fs::write(&path, contents).unwrap();
    path
}

fn tenant(name: &str, token: &str, rest: &str) -> String {
    let file = scratch(&format!("token-{name}-{token}"), token);
    format!(
        "[[tenant]]\nid = \"{name}\"\n[[tenant.connection]]\nid = \"{name}-prod\"\ntoken = {{ file = '{}' }}\n{rest}",
        file.display()
    )
}

fn app(name: &str, key: &str, rest: &str) -> String {
    format!(
        "[[tenant.app]]\nid = \"{name}\"\nkeys = [{{ id = \"{key}\", sha256 = \"{KEY}\" }}]\n{rest}"
    )
}

fn problems(text: &str) -> Vec<String> {
    match Config::parse(text) {
        Ok(_) => Vec::new(),
        Err(found) => found.problems.iter().map(ToString::to_string).collect(),
    }
}

fn refused(text: &str, reason: &str) {
    let found = problems(text);
    assert!(found.iter().any(|problem| problem.contains(reason)), "{reason}: {found:#?}\n{text}");
}

#[test]
fn a_small_file_is_enough() {
    let text = tenant("acme", "tok-1", &app("billing", "k1", ""));
    assert_eq!(problems(&text), Vec::<String>::new());
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let text = format!(
        "[server]\nlisten = \"nowhere\"\nheadsize = \"1KiB\"\n[vendor]\nconnect = \"5\"\n{}",
        tenant("acme", "tok-1", &app("billing", "k1", "scope = []\n"))
    );
    let found = problems(&text);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].starts_with("line 2, column 10: "), "{found:#?}");
    assert!(
        found[1].contains("no key 'headsize' in 'server': did you mean 'head_size'?"),
        "{found:#?}"
    );
    assert!(
        found[2].starts_with("line 5, column 11: vendor.connect: '5' is not a duration"),
        "{found:#?}"
    );
    assert!(
        found[3].contains("no key 'scope' in 'tenant.app': did you mean 'scopes'?"),
        "{found:#?}"
    );
}

#[test]
fn a_log_level_or_target_that_is_none_is_refused_with_its_place() {
    let text = format!(
        "[logs]\nlevel = \"loud\"\nlevels = {{ \"tollgate::sever\" = \"debug\", access = \"some\" }}\nformat = \"xml\"\n{}",
        tenant("acme", "tok-1", &app("billing", "k1", ""))
    );
    let found = problems(&text);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(
        found[0].starts_with("line 2, column 9: ") && found[0].contains("`warn`"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("line 3, column 12: "), "{found:#?}");
    assert!(found[1].contains("`tollgate::server`"), "{found:#?}");
    assert!(
        found[2].starts_with("line 3, column 50: ") && found[2].contains("`off`"),
        "{found:#?}"
    );
    assert!(
        found[3].starts_with("line 4, column 10: ") && found[3].contains("`human`"),
        "{found:#?}"
    );
}

#[test]
fn rules_over_several_keys_are_reported_at_once_too() {
    let text = format!(
        "[ops]\nlisten = \"0.0.0.0:8080\"\n[vendor]\nbase_url = \"http://courier.example\"\nconnect = \"0s\"\n{}",
        tenant(
            "acme",
            "tok-1",
            &app("billing", "k1", "scopes = [\"brand\"]\nconnections = [\"other\"]\n")
        )
    );
    let found = problems(&text);
    for reason in [
        "line 2, column 1: server.listen and ops.listen are both",
        "would carry tokens in clear text",
        "vendor.connect must be more than 0",
        "no scope 'brand'",
        "has no connection 'other'",
    ] {
        assert!(found.iter().any(|problem| problem.contains(reason)), "{reason}: {found:#?}");
    }
}

#[test]
fn a_connection_has_one_tenant_and_a_token_one_connection() {
    let one = tenant("acme", "tok-1", &app("billing", "k1", ""));
    let same_token = tenant("umbrella", "tok-1", &app("billing", "k2", ""));
    refused(
        &format!("{one}{same_token}"),
        "connections 'acme-prod' and 'umbrella-prod' have one token",
    );
    let bearer = tenant("umbrella", "Bearer tok-1", &app("billing", "k2", ""));
    refused(&format!("{one}{bearer}"), "have one token");
    let same_id = tenant("umbrella", "tok-2", &app("billing", "k2", ""))
        .replace("umbrella-prod", "acme-prod");
    refused(&format!("{one}{same_id}"), "connection 'acme-prod' belongs to tenant 'acme' already");
}

#[test]
fn names_are_unique_where_they_must_be() {
    let twice = format!("{}{}", app("billing", "k1", ""), app("billing", "k2", ""));
    refused(&tenant("acme", "tok-1", &twice), "app 'billing' is there twice");
    let keys = format!("{}{}", app("billing", "k1", ""), app("console", "k1", ""));
    refused(&tenant("acme", "tok-1", &keys), "key id 'k1' is taken");
    let acme = tenant("acme", "tok-1", &app("billing", "k1", ""));
    refused(&format!("{acme}{acme}"), "tenant 'acme' is there twice");
}

#[test]
fn an_app_with_several_connections_must_choose() {
    let file = scratch("second", "tok-9");
    let second = format!(
        "[[tenant.connection]]\nid = \"acme-test\"\ntoken = {{ file = '{}' }}\n",
        file.display()
    );
    let text = tenant("acme", "tok-1", &format!("{second}{}", app("billing", "k1", "")));
    refused(
        &text,
        "app 'billing' must say which connections it may use, its default first, since tenant 'acme' has 2",
    );
    let text = tenant(
        "acme",
        "tok-1",
        &format!("{second}{}", app("billing", "k1", "connections = [\"acme-test\"]\n")),
    );
    assert_eq!(problems(&text), Vec::<String>::new());
}

#[test]
fn a_token_that_is_missing_or_unusable_is_named_by_its_place() {
    let text = tenant("acme", "tok-1", &app("billing", "k1", ""));
    let missing = text.replace("token-acme-tok-1", "nowhere");
    refused(&missing, "nowhere' is not there: put the secret into it");
    let variable = "[[tenant]]\nid = \"a\"\n[[tenant.connection]]\nid = \"c\"\ntoken = { env = \"TOLLGATE_TEST_UNSET\" }\n";
    refused(variable, "environment variable 'TOLLGATE_TEST_UNSET' is not set");
    refused(&tenant("acme", "Bearer ", &app("billing", "k1", "")), "is empty");
    refused(&tenant("acme", "two words", &app("billing", "k1", "")), "holds white space");
}

#[test]
fn a_table_of_traces_that_cannot_work_is_refused_with_its_places() {
    let rest = tenant("acme", "tok-1", &app("billing", "k1", "trace_context = \"parent\"\n"));
    let secret = scratch("collector", "Bearer very-secret\n");
    let good = format!(
        "[traces]\nendpoint = \"https://otlp.example/x/v1/traces\"\nheaders = {{ authorization = {{ file = '{}' }} }}\nratio = 1\n[vendor]\npass_trace_context = true\n",
        secret.display()
    );
    let config = Config::parse(&format!("{good}{rest}")).unwrap_or_else(|p| panic!("{p:#?}"));
    assert_eq!(config.settings.traces.url().unwrap(), "https://otlp.example/x/v1/traces");
    let headers = config.collector.unwrap().headers;
    assert_eq!(headers["authorization"], "Bearer very-secret");
    assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
    let base = good.replace("/x/v1/traces", "");
    let config = Config::parse(&format!("{base}{rest}")).unwrap_or_else(|p| panic!("{p:#?}"));
    assert_eq!(config.settings.traces.url().unwrap(), "https://otlp.example/v1/traces");

    let bad = "[traces]\nendpoint = \"http://collector.example\"\nratio = 1.5\ntimeout = \"0s\"\ninterval = \"0s\"\n\
               queue = 63\nbatch = 64\nservice_name = \"\"\nca_file = \"/nowhere.pem\"\n\
               headers = { host = { env = \"X\" }, \"a b\" = { env = \"X\" }, x = { env = \"TOLLGATE_TEST_UNSET\" } }\n";
    let found = problems(&format!("{bad}{rest}"));
    for reason in [
        "line 2, column 1: http://collector.example would carry spans in clear text",
        "line 3, column 1: traces.ratio must be from 0 to 1",
        "line 4, column 1: traces.timeout must be more than 0",
        "line 5, column 1: traces.interval must be more than 0",
        "line 6, column 1: traces.queue must be 64 to 1048576",
        "line 7, column 1: traces.batch must be 1 to traces.queue",
        "line 8, column 1: traces.service_name is empty",
        "line 9, column 1: certificate file '/nowhere.pem'",
        "line 10, column 1: traces.headers: 'a b' is not the name of a header field",
        "line 10, column 1: traces.headers: 'host' is the exporter's own",
        "line 10, column 1: traces.headers: environment variable 'TOLLGATE_TEST_UNSET' is not set",
    ] {
        assert!(found.iter().any(|problem| problem.starts_with(reason)), "{reason}: {found:#?}");
    }
    assert_eq!(found.len(), 11, "{found:#?}");
    refused(
        &format!("[vendor]\npass_trace_context = true\n{rest}"),
        "vendor.pass_trace_context needs traces.endpoint",
    );
    refused(&format!("[traces]\nratio = nan\n{rest}"), "traces.ratio must be from 0 to 1");
    refused(
        &format!("[traces]\ncontext = \"child\"\n{rest}"),
        "line 2, column 11: traces.context is none of its words: write one of `parent`, `link`, `ignore`",
    );
    let secret = "[traces]\nheaders = { authorization = \"Bearer very-secret\" }\n";
    assert!(!problems(&format!("{secret}{rest}")).join("\n").contains("very-secret"));
}

#[test]
fn a_secret_in_the_wrong_place_is_not_printed() {
    let secret = "tok-very-secret";
    let text = format!(
        "[[tenant]]\nid = \"a\"\n[[tenant.connection]]\nid = \"c\"\ntoken = \"{secret}\"\n"
    );
    let key = format!("tg_k1_{}", "S".repeat(43));
    let apps =
        format!("[[tenant.app]]\nid = \"x\"\nkeys = [{{ id = \"{key}\", sha256 = \"{key}\" }}]\n");
    let found = problems(&format!("{text}{apps}"));
    assert!(found.len() >= 3, "{found:#?}");
    for problem in found {
        assert!(!problem.contains(secret) && !problem.contains(&key), "{problem}");
    }
}

#[test]
fn a_file_without_tenants_says_where_to_look() {
    refused("", "no [[tenant]]");
}

#[test]
fn a_wrong_catalogue_file_is_reported_with_its_own_places() {
    let file = scratch("catalog.toml", "[[operation]]\nid = \"x\"\n");
    let text = format!(
        "[vendor]\ncatalog = '{}'\n{}",
        file.display(),
        tenant("acme", "tok-1", &app("billing", "k1", ""))
    );
    refused(&text, "catalog.toml:1:1: 'operation' has no 'group'");
}

/// `config/…` as it must be; `UPDATE=1` writes it.
fn golden(path: &str, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "{path} is not what the code says: run the tests once with UPDATE=1");
}

#[test]
fn the_reference_says_what_the_code_does() {
    golden("config/reference.md", &config::reference());
}

#[test]
fn the_schema_says_what_the_code_does() {
    let text = serde_json::to_string_pretty(&config::schema()).unwrap();
    golden("config/tollgate.schema.json", &format!("{text}\n"));
}

fn tollgate(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .env("ACME_COURIER_TOKEN", "tok-1")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn every_shipped_configuration_is_good() {
    let mut checked = 0;
    for entry in std::fs::read_dir("config").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".toml") && name != "courier.toml" {
            let (code, text) = tollgate(&["check", path.to_str().unwrap()]);
            assert_eq!(code, Some(0), "{name}: {text}");
            checked += 1;
        }
    }
    assert!(checked >= 1);
}

#[test]
fn the_readmes_configuration_is_good() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let block = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let file = scratch("readme.toml", block);
    let (code, text) = tollgate(&["check", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
}

/// Every command that the README shows is run by the gate.
#[test]
fn the_readmes_commands_are_run_by_the_gate() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let gate = std::fs::read_to_string(".ci/run").unwrap().replace(" --locked", "");
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands = blocks.flat_map(str::lines).filter(|line| line.starts_with("cargo "));
    let mut seen = 0;
    for command in commands.map(|line| line.split(" #").next().unwrap().trim()) {
        assert!(gate.contains(command), "{command}");
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn exit_codes_tell_usage_from_configuration() {
    let broken = scratch("broken.toml", "[server]\nlisten = 8080\n[[tenant]]\nid = \"a\"\n");
    let (code, text) = tollgate(&["check", broken.to_str().unwrap()]);
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("broken.toml:2:10: "), "{text}");
    let (code, text) = tollgate(&["serve", "--config", broken.to_str().unwrap()]);
    assert_eq!(code, Some(64), "{text}");
    assert_eq!(tollgate(&["serv"]).0, Some(2));
    assert_eq!(tollgate(&["--version"]).0, Some(0));
    let (code, text) = tollgate(&["check", "nowhere.toml"]);
    assert_eq!((code, text.contains("cannot be read")), (Some(64), true), "{text}");
}

#[test]
fn a_warning_is_said_with_its_place_and_leaves_the_exit_code_at_0() {
    let text = tenant("acme", "tok-1", &app("billing", "k1", ""));
    let file = scratch("warned.toml", &text);
    let (code, said) = tollgate(&["check", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warned.toml:8:22: warning: key 'k1' has a placeholder"), "{said}");
}

#[test]
fn a_new_key_is_printed_with_the_entry_that_accepts_it() {
    let (code, text) = tollgate(&["keys", "new", "--app", "billing", "--id", "k7"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("  tg_k7_") && text.contains("keys = [{ id = \"k7\", sha256 = \""),
        "{text}"
    );
    let (code, text) = tollgate(&["keys", "new", "--app", "Bad Name"]);
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn a_key_for_the_admin_port_is_printed_with_the_entry_that_accepts_it() {
    let (code, text) = tollgate(&["keys", "new", "--admin", "--id", "ops"]);
    assert_eq!(code, Some(0), "{text}");
    let entry = text.lines().find(|line| line.trim_start().starts_with("keys = ")).unwrap();
    let whole = tenant("acme", "tok-1", &app("billing", "k1", ""));
    let config = Config::parse(&format!("[admin]\n{entry}\n{whole}")).unwrap();
    let key = text.lines().find_map(|line| line.trim().strip_prefix("tg_ops_")).unwrap();
    let key = format!("tg_ops_{key}");
    assert!(
        config
            .admin
            .find(
                key.as_bytes(),
                std::time::SystemTime::UNIX_EPOCH,
                &tollgate::identity::Revoked::default()
            )
            .is_ok()
    );
    assert_eq!(tollgate(&["keys", "new"]).0, Some(2));
    assert_eq!(tollgate(&["keys", "new", "--admin", "--app", "billing"]).0, Some(2));
}

#[test]
fn an_admin_port_is_checked_like_all_else() {
    let whole = tenant("acme", "tok-1", &app("billing", "k1", ""));
    let admin = |table: &str| format!("[admin]\n{table}\n{whole}");
    let key = |id: &str, rest: &str| format!("{{ id = \"{id}\", sha256 = \"{KEY}\"{rest} }}");
    let taken = admin(&format!("keys = [{}, {}]", key("k1", ""), key("o", "")));
    refused(&taken, "line 2, column 11: key id 'k1' is taken");
    let twice = admin(&format!("keys = [{}, {}]", key("o", ""), key("o", "")));
    refused(&twice, "key id 'o' is taken");
    let same = format!("listen = \"0.0.0.0:9090\"\nkeys = [{}]", key("o", ""));
    refused(&admin(&same), "ops.listen and admin.listen are both 0.0.0.0:9090");
    assert_eq!(problems(&admin("listen = \"0.0.0.0:9090\"")), Vec::<String>::new(), "not served");
    refused(
        &admin(&format!("keys = [{}]", key("o", ", rights = \"write\""))),
        "`read` or `change`",
    );
    let open = format!("listen = \"0.0.0.0:9091\"\nkeys = [{}]\n", key("o", ""));
    refused(&admin(&open), "write admin.clients, such as [\"10.0.0.0/8\"], and admin.tls");
    let plain = format!("{open}allow_plain_http = true\n");
    refused(&admin(&plain), "write admin.clients, such as [\"10.0.0.0/8\"], or use 127.0.0.1");
    let from = "clients = [\"10.0.0.0/8\"]\n";
    refused(&admin(&format!("{open}{from}")), "write admin.tls, or use 127.0.0.1");
    let whole = format!("{plain}{from}hosts = [\"ops.example.com\"]");
    assert_eq!(problems(&admin(&whole)), Vec::<String>::new());
    refused(&admin("calls = 100001"), "line 2, column 1: admin.calls must be at most 100000");
}

#[test]
fn the_command_line_prints_schema_and_reference() {
    assert_eq!(
        tollgate(&["config", "reference"]).1,
        std::fs::read_to_string("config/reference.md").unwrap()
    );
    assert!(tollgate(&["config", "schema"]).1.contains("\"$schema\""));
}

/// A configuration with a catalogue of its own.
fn with_catalog(catalog: &str, rest: &str) -> String {
    let file = scratch("catalog.toml", &format!("extends = \"courier\"\n{catalog}"));
    format!("[vendor]\ncatalog = '{}'\n{rest}", file.display())
}

fn row(id: &str, pools: &str) -> String {
    format!(
        "[[operation]]\nid = \"{id}\"\ngroup = \"g\"\nmethod = \"GET\"\npath = \"/{id}\"\naccess = \"read\"\npools = {pools}\n"
    )
}

#[test]
fn a_price_that_no_quota_could_take_is_refused_at_its_row() {
    let pools: String = ["a", "b", "c", "d"]
        .map(|id| format!("[[pool]]\nid = \"{id}\"\ncalls = 3\nwindow = \"9s\"\n"))
        .concat();
    let good = tenant("acme", "tok-1", &app("billing", "k1", ""));
    for (row, reason) in [
        (row("x", "{ a = 4 }"), "toml:24:1: operation 'x' costs 4 of pool 'a', which has 3"),
        (row("x", "{ a = 1, b = 1, c = 1, d = 1 }"), "toml:24:1: operation 'x' pays 4 named pools"),
        (row("x", "{ e = 1 }"), "toml:24:1: operation 'x' pays pool 'e', which no [[pool]]"),
        (
            row("x", "{ connection = 101 }"),
            "operation 'x' costs 101 of its calls, of which there are 100",
        ),
    ] {
        refused(&with_catalog(&format!("{pools}{row}"), &good), reason);
    }
    let row = row("x", "{ connection = 100, a = 3, b = 3, c = 3, d = 0 }");
    let text = with_catalog(&format!("{pools}{row}"), &good);
    assert_eq!(problems(&text), Vec::<String>::new());
    let shared = format!("{text}\n[quota]\nstatic_share = {{ replicas = 2, index = 0 }}\n");
    refused(&shared, "costs 100 of its calls, of which there are 50");
}

#[test]
fn a_pool_that_no_quota_could_be_is_refused_at_its_place() {
    let good = tenant("acme", "tok-1", &app("billing", "k1", ""));
    for (pool, reason) in [
        ("calls = 1\nwindow = \"0s\"", "toml:4:1: pool 'a': window must be more than 0"),
        ("calls = 1000001\nwindow = \"1s\"", "toml:4:1: pool 'a': calls must be at most"),
    ] {
        refused(&with_catalog(&format!("[[pool]]\nid = \"a\"\n{pool}\n"), &good), reason);
    }
    // A pool of the built-in catalogue that becomes too small for the rows that pay it.
    let rows = row("x", "{ \"lists.put\" = 9 }");
    let small = "[[pool]]\nid = \"lists.put\"\ncalls = 8\nwindow = \"60s\"\n";
    refused(&with_catalog(&format!("{small}{rows}"), &good), "costs 9 of pool 'lists.put'");
}

#[test]
fn what_no_queue_could_hold_is_refused_at_its_place() {
    let weightless = tenant("acme", "tok-1", &app("billing", "k1", "weight = 0\n"));
    refused(&weightless, "app 'billing': weight must be 1 or more");
    let crowd: String = (0..10_001).map(|n| app(&format!("a{n}"), &format!("k{n}"), "")).collect();
    refused(&tenant("acme", "tok-1", &crowd), "app 'a10000' is one too many");
    let good = tenant("acme", "tok-1", &app("billing", "k1", ""));
    for (head, reason) in [
        ("[server]\nsockets = 9223372036854775807", "server.sockets must be 1 to"),
        ("[server]\nuploads_total = \"9999999999GiB\"", "uploads_total must be at most"),
        ("[vendor]\nsockets = 9223372036854775807", "vendor.sockets must be 1 to"),
    ] {
        refused(&format!("{head}\n{good}"), reason);
    }
}
