//! Who did what and what was refused, over sockets; and that no secret is in any of it.

use serde_json::Value;
use tollgate::ids::RandomId;

use crate::admin::{Asked, admin_key};
use crate::page::Page;
use crate::process::Process;
use crate::rig::{PORTS, raw};
use crate::support::{Setup, Stack, token};

const JSON: &str = "Content-Type: application/json";

/// Act, outcome, key and the beginning of the reason.
fn told(line: &Value) -> [&str; 4] {
    ["act", "outcome", "key", "detail"].map(|name| line[name].as_str().unwrap_or(""))
}

async fn log_in(asked: &Asked) -> String {
    asked.post("/api/login", JSON, &format!("{{\"key\":\"{}\"}}", asked.key)).await
}

/// Whatever may be refused is tried once.
async fn try_all(asked: &Asked) {
    let key = format!("x-api-key: {}", asked.key);
    let app = format!("Host: localhost\r\nx-api-key: {}", asked.setup.acme);
    let wrong = format!("Host: localhost\r\nx-api-key: tg_ops1_{}", "A".repeat(43));
    let stolen = format!("{JSON}\r\nCookie: tollgate-session={}", "A".repeat(43));
    for (path, fields) in [
        ("/api/version", "Host: localhost".to_owned()),
        ("/api/version", wrong),
        ("/api/version", app),
        ("/api/version", format!("Host: evil.example\r\n{key}")),
        ("/api/version", format!("Host: localhost\r\nOrigin: http://evil.example\r\n{key}")),
    ] {
        asked.get(path, &fields).await;
    }
    asked.post("/api/logout", &stolen, "").await;
    asked.post("/api/logout", &format!("Content-Type: text/plain\r\n{key}"), "x").await;
    asked.post("/api/nowhere", &format!("{JSON}\r\n{key}"), "{}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_and_each_refused_one_is_a_line_that_says_who_and_why() {
    let path = std::env::temp_dir().join(format!("tollgate-audit-{}", RandomId::new()));
    let asked = Asked::with_rest("", &format!("audit = '{}'\n", path.display())).await;
    try_all(&asked).await;
    log_in(&asked).await;
    // What is not there for those who only look is no act.
    asked.asked("/api/nowhere").await;
    asked.asked("/api/calls?limit=0").await;
    let (_, document) = asked.asked("/api/audit").await;
    let lines = document["acts"].as_array().unwrap();
    let wanted = [
        ["login", "done", "ops1", ""],
        ["ask", "refused", "ops1", "the paths are "],
        ["logout", "refused", "ops1", "documents are sent with "],
        ["logout", "refused", "", "the session is over"],
        ["ask", "refused", "", "a page from elsewhere"],
        ["ask", "refused", "", "the Host must be "],
        ["ask", "refused", "acme", "that is a key of an app"],
        ["ask", "refused", "ops1", "send an admin key"],
        ["ask", "refused", "", "send an admin key"],
    ];
    assert_eq!(lines.len(), wanted.len(), "{document:#}");
    for (line, [act, outcome, key, detail]) in lines.iter().zip(wanted) {
        let seen = told(line);
        assert_eq!(seen[..3], [act, outcome, key], "{line}");
        assert!(seen[3].starts_with(detail), "{line}");
        assert_eq!((&line["peer"], &line["because"]), (&"127.0.0.1".into(), &"".into()));
    }
    let members: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    let mut named =
        ["at_ms", "outcome", "key", "peer", "act", "what", "because", "before", "after", "detail"];
    named.sort_unstable();
    assert_eq!(members, named);
    let (_, one) = asked.asked("/api/audit?limit=1").await;
    assert_eq!(one["acts"].as_array().unwrap().len(), 1);
    let page = Page::of(asked.gateway.state()).await;
    let count = |outcome| page.sum("tollgate_admin_requests_total", &[("outcome", outcome)]);
    assert_eq!(count("done"), 3.0, "the login and two looks at this");
    assert_eq!((count("refused"), count("wrong"), count("failed")), (6.0, 4.0, 0.0));
    asked.gateway.shut_down().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let written: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(written.iter().rev().collect::<Vec<_>>(), lines.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refused_requests_is_counted_and_pushes_no_act_out() {
    let asked = Asked::start().await;
    log_in(&asked).await;
    for _ in 0..60 {
        asked.get("/api/version", "Host: localhost").await;
    }
    let page = Page::of(asked.gateway.state()).await;
    assert_eq!(page.sum("tollgate_admin_requests_total", &[("outcome", "refused")]), 60.0);
    let (_, document) = asked.asked("/api/audit?limit=1000").await;
    let lines = document["acts"].as_array().unwrap();
    assert_eq!(told(lines.last().unwrap())[0], "login", "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_audit_as_json_whatever_its_form() {
    let (entry, key) = admin_key("ops1", "");
    let listen = "listen = \"127.0.0.1:0\"";
    let setup = Setup::new(&format!("{PORTS}[admin]\n{listen}\nkeys = [{entry}]\n"));
    let mut process = Process::start(&setup);
    let admin = process.line("listening")["addr"].as_str().unwrap().parse().unwrap();
    process.configure(&format!("[logs]\nformat = \"human\"\n{}", setup.text));
    process.signal("HUP");
    let done = "tollgate_config_reloads_total{outcome=\"done\"} 1";
    let page = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    while !raw(process.ops, page, "").await.contains(done) {
        tokio::task::yield_now().await;
    }
    let body = format!("{{\"key\":\"{key}\"}}");
    let login = format!(
        "POST /api/login HTTP/1.1\r\nHost: localhost\r\n{JSON}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    assert!(raw(admin, login.as_bytes(), "").await.starts_with("HTTP/1.1 200 "));
    let wrong = "GET /api/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    raw(admin, wrong.as_bytes(), "").await;
    process.signal("TERM");
    let (_, rest) = process.end();
    let lines: Vec<Value> = rest
        .lines()
        .filter(|line| line.contains("\"target\":\"audit\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines.iter().map(told).collect::<Vec<_>>(),
        [
            ["login", "done", "ops1", ""],
            [
                "ask",
                "refused",
                "",
                "send an admin key as 'x-api-key: tg_…' or 'Authorization: Bearer tg_…'"
            ],
        ],
        "{rest}"
    );
    assert_eq!((&lines[0]["level"], &lines[1]["level"]), (&"INFO".into(), &"WARN".into()));
    assert!(rest.contains("INFO   tollgate::"), "all else is for people: {rest}");
    assert!(!rest.contains(&key[8..]), "{rest}");
}

/// Asks for all sorts of things with `secret` where it does not belong.
async fn spill(asked: &Asked, secret: &str, cookie: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let with_key = format!("Host: localhost\r\nx-api-key: {}", asked.key);
    let with_cookie = format!("Host: localhost\r\nCookie: tollgate-session={cookie}");
    let targets =
        ["/api/{}", "/api/calls/{}", "/api/calls?app={}", "/api/calls?{}=1", "/api/audit?limit={}"];
    for fields in [&with_key, &with_cookie] {
        for target in targets {
            seen.push(asked.get(&target.replace("{}", secret), fields).await);
        }
    }
    let json = format!("{JSON}\r\nx-api-key: {}", asked.key);
    for document in [
        format!("{{\"key\":[\"{secret}\"]}}"),
        format!("{{\"{secret}\":1}}"),
        format!("\"{secret}\""),
        format!("{{\"key\":\"{secret}x\"}}"),
    ] {
        seen.push(asked.post("/api/login", JSON, &document).await);
        seen.push(asked.post("/api/logout", &json, &document).await);
    }
    for fields in [
        format!("Host: {secret}.example\r\nx-api-key: {secret}"),
        format!("Host: localhost\r\nOrigin: http://{secret}"),
        format!("Host: localhost\r\nCookie: tollgate-session={secret}"),
    ] {
        seen.push(asked.get("/api/version", &fields).await);
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_token_or_cookie_is_in_any_answer_line_or_metric_whatever_is_sent() {
    let path = std::env::temp_dir().join(format!("tollgate-audit-{}", RandomId::new()));
    let audit = format!("audit = '{}'\n", path.display());
    let asked = Asked::with_rest(", rights = \"change\"", &audit).await;
    let login = log_in(&asked).await;
    let set = login.lines().find(|line| line.starts_with("set-cookie: ")).unwrap().to_owned();
    let cookie = set.split(['=', ';']).nth(1).unwrap().to_owned();
    assert_eq!(cookie.len(), 43);
    let mut seen = vec![login.replace(&set, "")];
    for secret in [&asked.key, &asked.setup.acme, &cookie] {
        seen.extend(spill(&asked, secret, &cookie).await);
    }
    let with_key = format!("Host: localhost\r\nx-api-key: {}", asked.key);
    for path in ["session", "connections", "calls", "audit?limit=1000", "openapi.json"] {
        seen.push(asked.get(&format!("/api/{path}"), &with_key).await);
    }
    seen.push(format!("{:?}", Page::of(asked.gateway.state()).await));
    let secrets =
        [asked.key[8..].to_owned(), asked.setup.acme[8..].to_owned(), token("acme"), cookie];
    asked.gateway.shut_down().await;
    seen.push(std::fs::read_to_string(&path).unwrap());
    assert!(seen.iter().any(|text| text.contains("\"act\":\"login\"")), "the audit was read");
    for text in &seen {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{}: {text}", &secret[..6]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_a_line_with_what_was_before_and_after_and_its_reason() {
    let asked = Asked::with_rest(", rights = \"change\"", "").await;
    let json = format!("{JSON}\r\nx-api-key: {}", asked.key);
    let made = asked
        .post("/api/overrides", &json, r#"{"act":{"kind":"pause-connection","connection":"acme-prod"},"for_ms":60000,"because":"Courier is ill"}"#)
        .await;
    assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    let purge = r#"{"connection":"acme-prod","because":"wrong in Courier"}"#;
    assert!(asked.post("/api/purge", &json, purge).await.starts_with("HTTP/1.1 200 "));
    let unwise = r#"{"act":{"kind":"pause-connection","connection":"nobody's"},"for_ms":60000,"because":"x"}"#;
    assert!(asked.post("/api/overrides", &json, unwise).await.starts_with("HTTP/1.1 400 "));
    let (_, overrides) = asked.asked("/api/overrides").await;
    let id = overrides["overrides"][0]["id"].as_str().unwrap();
    let end = format!(
        "DELETE /api/overrides/{id} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {}\r\nConnection: close\r\n\r\n",
        asked.key
    );
    assert!(raw(asked.admin, end.as_bytes(), "").await.starts_with("HTTP/1.1 200 "));
    let (_, document) = asked.asked("/api/audit").await;
    let lines = document["acts"].as_array().unwrap();
    let of = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        (told(line)[..3].join(" "), text("because"), text("before"), text("after"))
    };
    let wanted = [
        ("end-override done ops1", "", "paused", "not paused"),
        ("override refused ops1", "", "-", "-"),
        ("purge done ops1", "wrong in Courier", "-", "-"),
        ("override done ops1", "Courier is ill", "not paused", "paused"),
    ];
    let wanted = wanted.map(|(who, because, before, after)| {
        (who.to_owned(), because.to_owned(), before.to_owned(), after.to_owned())
    });
    assert_eq!(lines.iter().map(of).collect::<Vec<_>>(), wanted, "{document:#}");
    assert!(lines[3]["what"].as_str().unwrap().contains("acme-prod"), "{document:#}");
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_time_is_over_is_a_line_that_nobody_sent() {
    let stack = Stack::new(&Setup::new(""));
    let act = serde_json::json!({"kind": "bypass", "connection": "acme-prod"});
    let act = serde_json::from_value(act).unwrap();
    let life = std::time::Duration::from_secs(60);
    stack.state.overrides().add(act, life, "a try", "ops1").unwrap();
    stack.state.steer();
    tokio::time::sleep(life + std::time::Duration::from_secs(2)).await;
    let lines = stack.state.audit().last(10);
    let line = serde_json::to_value(&*lines[0]).unwrap();
    assert_eq!((lines.len(), told(&line)), (1, ["expired", "done", "", ""]));
    assert_eq!((&line["because"], &line["peer"]), (&"a try".into(), &Value::Null));
    assert_eq!(line["after"], "reads from copies");
}
