//! What operators see: each row of the table with its right value, and nothing of what callers send.

use std::collections::BTreeSet;
use std::time::Duration;

use http_body_util::BodyExt;
use simulator::{Answer as Faulty, Effect, Fault, When};
use tokio::time::advance;
use tollgate::app::Gateway;
use tollgate::error::Code;
use tollgate::telemetry::exposition::ExpositionFormat;
use tollgate::telemetry::logs::AccessLog;
use tollgate::telemetry::metrics::{MOST_APPS, Metrics};

use crate::page::Page;
use crate::rig::{Certificate, Client, PORTS, Rig, raw};
use crate::support::{Setup, Stack, request};
use crate::zero::WITH_A_STORE;

const SEND: &str =
    "{\"message\":{\"to\":{\"user_id\":\"u\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}";

fn fault(stack: &simulator::Server, operation: &str, answer: Faulty) {
    let when = When { operation: Some(operation.into()), times: Some(1), ..When::default() };
    let effect = Effect { answer: Some(answer), ..Effect::default() };
    stack.with(|simulator| simulator.faults().add(Fault { id: None, when, effect }));
}

fn status(status: u16, retry_after: Option<&str>) -> Faulty {
    let retry_after = retry_after.map(str::to_owned);
    Faulty::Status { status, body: None, content_type: None, retry_after }
}

#[tokio::test(start_paused = true)]
async fn slots_queue_and_closing_are_shown_as_they_are_when_somebody_asks() {
    let setup = Setup::with_quota("", "[quota]\ncalls = 3\nwindow = \"10s\"\nmax_wait = \"30s\"\n");
    let stack = Stack::new(&setup);
    let slots = |page: &Page, state| {
        let own = [("connection", "acme-prod"), ("pool", "connection"), ("state", state)];
        page.sum("tollgate_quota_slots", &own)
    };
    let all = |page: &Page| ["free", "in_use", "resting"].map(|state| slots(page, state));
    let lane = [("connection", "acme-prod"), ("lane", "interactive")];
    assert_eq!(all(&Page::of(&stack.state).await), [3.0, 0.0, 0.0]);
    for _ in 0..3 {
        stack.call(request("GET", "/messages", &setup.acme, "")).await;
    }
    let mut waiting = Box::pin(stack.call(request("GET", "/messages", &setup.acme, "")));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let page = Page::of(&stack.state).await;
    assert_eq!(all(&page), [0.0, 0.0, 3.0]);
    assert_eq!(page.sum("tollgate_queue_length", &lane), 1.0);
    assert_eq!(page.sum("tollgate_requests_in_flight", &[]), 1.0);
    let app = [("tenant", "acme"), ("app", "acme"), ("lane", "interactive")];
    assert_eq!(page.sum("tollgate_app_queue_length", &app), 1.0);
    assert_eq!(page.sum("tollgate_app_slots", &app), 3.0);
    assert_eq!(page.sum("tollgate_quota_limit", &lane[..1]), 3.0 + page_of_named(&page));
    waiting.await;
    // Nobody calls; the rest is over all the same.
    advance(Duration::from_secs(11)).await;
    assert_eq!(all(&Page::of(&stack.state).await), [3.0, 0.0, 0.0]);
    fault(&stack.courier, "messages.list", status(429, Some("60")));
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    let page = Page::of(&stack.state).await;
    let own = [("connection", "acme-prod"), ("pool", "connection")];
    let closed = page.sum("tollgate_quota_closed_seconds", &own);
    assert!(closed > 59.0 && closed <= 60.0, "{closed}");
    assert_eq!(page.sum("tollgate_quota_closed_seconds", &[("connection", "umbrella-prod")]), 0.0);
}

/// What the named pools of `acme-prod` allow together.
fn page_of_named(page: &Page) -> f64 {
    let all = page.find("tollgate_quota_limit", &[("connection", "acme-prod")]);
    let named = all.iter().filter(|sample| sample.labels["pool"] != "connection");
    named.map(|sample| sample.value).sum()
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_connections_share_is_shown_once() {
    let mut setup = Setup::new("");
    let file = setup.text.split('\'').nth(1).unwrap().to_owned();
    std::fs::write(format!("{file}-2"), "another-token").unwrap();
    setup.text = setup.text.replacen(
        &format!("token = {{ file = '{file}' }}\n"),
        &format!(
            "token = {{ file = '{file}' }}\nworkspace = \"w\"\n\
             [[tenant.connection]]\nid = \"acme-test\"\ntoken = {{ file = '{file}-2' }}\nworkspace = \"w\"\n"
        ),
        1,
    );
    setup.text = setup.text.replacen(
        "[[tenant.app]]\nid = \"acme\"\n",
        "[[tenant.app]]\nid = \"acme\"\nconnections = [\"acme-prod\"]\n",
        1,
    );
    let page = Page::of(&Stack::new(&setup).state).await;
    let limits = |connection: &str, pool: &str| {
        page.find("tollgate_quota_limit", &[("connection", connection), ("pool", pool)]).len()
    };
    assert_eq!((limits("acme-prod", "connection"), limits("acme-test", "connection")), (1, 1));
    assert_eq!((limits("workspace/w", "lists.put"), limits("acme-prod", "lists.put")), (1, 0));
    assert_eq!(limits("umbrella-prod", "lists.put"), 1, "its workspace is its own");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_seen_until_a_better_one_is_there() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let good = async |stack: &Stack| {
        let page = Page::of(&stack.state).await;
        ["acme-prod", "umbrella-prod"]
            .map(|id| page.sum("tollgate_vendor_token_good", &[("connection", id)]))
    };
    assert_eq!(good(&stack).await, [1.0, 1.0]);
    fault(&stack.courier, "messages.list", Faulty::Credential { status: 401 });
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(good(&stack).await, [0.0, 1.0]);
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(good(&stack).await, [1.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn apps_beyond_the_first_hundred_are_one() {
    let mut setup = Setup::new("");
    for number in 0..MOST_APPS {
        setup.text += &format!(
            "[[tenant.app]]\nid = \"app-{number}\"\nkeys = [{{ id = \"x{number}\", sha256 = \"{}\", expires = \"20{}-01-01T00:00:00Z\" }}]\n",
            "0".repeat(64),
            30 + number % 60,
        );
    }
    let stack = Stack::new(&setup);
    stack.call(request("GET", "/messages", &setup.umbrella, "")).await;
    let page = Page::of(&stack.state).await;
    let others = [("tenant", "other"), ("app", "other")];
    // acme, umbrella and 98 more have names; app-98 and app-99 have none.
    assert_eq!(page.find("tollgate_app_slots", &others).len(), 2, "one connection, two lanes");
    assert_eq!(page.sum("tollgate_app_slots", &[("app", "umbrella")]), 1.0);
    let expiry = page.find("tollgate_app_key_expiry_timestamp_seconds", &others);
    assert_eq!(expiry.len(), 1);
    let apps: BTreeSet<_> =
        page.samples.iter().filter_map(|sample| sample.labels.get("app")).collect();
    assert_eq!(apps.len(), MOST_APPS + 1);
    assert_eq!(
        page.sum("tollgate_app_requests_total", &[("app", "umbrella"), ("code", "ok")]),
        1.0
    );
}

/// Two thousand calls that no two of have anything in common but the wish to become a label.
#[tokio::test(start_paused = true)]
async fn hostile_callers_add_no_label_value_and_less_than_20_kb() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    stack.call(request("GET", "/brands/b", &setup.acme, "")).await;
    let before = Page::of(&stack.state).await;
    for number in 0..2_000_usize {
        let evil = format!("evil{number}");
        let (method, target, key) = match number % 8 {
            0 => (evil.to_uppercase(), "/brands".into(), setup.acme.clone()),
            1 => ("GET".into(), format!("/{evil}/{evil}"), setup.acme.clone()),
            2 => ("GET".into(), format!("/brands/{evil}?{evil}={evil}"), setup.acme.clone()),
            3 => ("GET".into(), "/brands".into(), format!("tg_{evil}_{}", "x".repeat(43))),
            4 => ("GET".into(), format!("/c/{evil}/brands"), setup.acme.clone()),
            5 => ("GET".into(), format!("/{evil}%zz/.."), setup.acme.clone()),
            6 => ("POST".into(), format!("/bulk/{evil}/users"), setup.umbrella.clone()),
            _ => ("GET".into(), "/brands".into(), evil.clone()),
        };
        let mut call = request(&method, &target, &key, "");
        for field in ["host", "user-agent", "x-request-id", "x-stainless-lang", "idempotency-key"] {
            call.headers_mut().insert(field, evil.parse().unwrap());
        }
        if number % 3 == 0 {
            let trace = format!("00-{number:032x}-{number:016x}-01");
            call.headers_mut().insert("traceparent", trace.parse().unwrap());
        }
        stack.call(call).await;
    }
    let after = Page::of(&stack.state).await;
    let grown = stack.state.metrics_page(ExpositionFormat::OpenMetrics).await.len() - before.size;
    println!("{} octets before, {grown} more after", before.size);
    assert!(grown < 20_000, "{grown}");
    assert_eq!(after.sum("tollgate_requests_total", &[]), 2_001.0);
    let config = setup.config();
    let rows = config.catalog.operations().iter().map(|row| row.id.to_string());
    let codes = Code::ALL.iter().map(|code| code.as_str().to_owned());
    let classes = ["2xx", "4xx", "5xx", "none", "ok"].map(str::to_owned);
    let cache = ["hit", "stored", "miss", "bypass"].map(str::to_owned);
    let keys = ["given", "replayed", "foreign", "unknown"].map(str::to_owned);
    let known: BTreeSet<String> =
        rows.chain(codes).chain(classes).chain(cache).chain(keys).collect();
    let new: Vec<_> = after.label_values().difference(&before.label_values()).cloned().collect();
    let strange: Vec<_> = new.iter().filter(|value| !known.contains(*value)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert!(after.samples.len() > before.samples.len(), "the calls were counted");
}

/// A gateway on TLS before a simulator: one tenant enforced, one in shadow mode.
pub(crate) async fn gateway() -> (Rig, Certificate) {
    let courier = simulator::Server::new(simulator::Options::default());
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    tokio::spawn(courier.clone().serve(port, std::future::pending()));
    let certificate = Certificate::new();
    let head = format!(
        "{PORTS}head_time = \"2s\"\n{}[vendor]\nbase_url = \"http://{vendor}\"\nsockets = 2\n",
        certificate.setting()
    );
    let mut setup = Setup::with_quota(&head, "[quota]\ncalls = 30\nmax_wait = \"100ms\"\n");
    setup.text = setup.text.replace("\" }]", "\", expires = \"2099-01-01T00:00:00Z\" }]");
    setup.text = setup.text.replace(
        "id = \"umbrella-prod\"\n",
        "id = \"umbrella-prod\"\nquota = { mode = \"shadow\", calls = 12 }\n",
    );
    let gateway = Gateway::start(setup.config(), AccessLog::none()).await.unwrap();
    let lines = crate::support::Lines::default();
    (Rig { gateway, courier, setup, lines }, certificate)
}

/// One of everything that is counted.
pub(crate) async fn load(rig: &mut Rig, certificate: &Certificate) {
    let (acme, umbrella) = (rig.setup.acme.clone(), rig.setup.umbrella.clone());
    rig.gateway.reload(&rig.setup.config()).unwrap();
    rig.gateway.reloaded("done");
    let mut client = Client::connect(rig.gateway.data, false, Some(certificate)).await;
    let mut call = async |method: &str, target: &str, key: &str, body: &str| {
        let answer = client.send(method, target, key, body.as_bytes().to_vec()).await;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        status
    };
    // 8 slots: a miss, a hit, a write, a send, one more try after 503, one refused token, one 429.
    assert_eq!(call("GET", "/brands", &acme, "").await, 200);
    assert_eq!(call("GET", "/brands", &acme, "").await, 200);
    assert_eq!(call("PUT", "/lists/a", &acme, "{\"name\":\"a\"}").await, 204);
    assert_eq!(call("POST", "/send", &acme, SEND).await, 202);
    fault(&rig.courier, "messages.list", status(503, None));
    assert_eq!(call("GET", "/messages", &acme, "").await, 200);
    let file = rig.setup.text.split("file = '").nth(1).unwrap().split('\'').next().unwrap();
    std::fs::write(file, "the-next-token").unwrap();
    fault(&rig.courier, "messages.list", Faulty::Credential { status: 401 });
    assert_eq!(call("GET", "/messages", &acme, "").await, 200);
    fault(&rig.courier, "messages.list", Faulty::Credential { status: 401 });
    assert_eq!(call("GET", "/messages", &acme, "").await, 502);
    fault(&rig.courier, "lists.put", status(429, Some("30")));
    assert_eq!(call("PUT", "/lists/a", &acme, "{\"name\":\"a\"}").await, 429);
    assert_eq!(call("PUT", "/lists/a", &acme, "{\"name\":\"a\"}").await, 429);
    assert_eq!(call("GET", "/brands", "nobody", "").await, 401);
    for _ in 0..13 {
        assert_eq!(call("GET", "/messages", &umbrella, "").await, 200);
    }
    raw(rig.gateway.data, b"no TLS at all\r\n\r\n", "").await;
    crate::isolation::starve(rig, certificate).await;
}

#[tokio::test]
async fn every_row_of_the_table_has_its_value_after_one_of_everything() {
    let (mut rig, certificate) = gateway().await;
    load(&mut rig, &certificate).await;
    // Heads that hyper answers, and one that never comes.
    let mut tls = certificate.connect(rig.gateway.data, b"http/1.1").await;
    tokio::io::AsyncWriteExt::write_all(&mut tls, b"GET /\x01 HTTP/1.1\r\n\r\n").await.unwrap();
    let silent = certificate.connect(rig.gateway.data, b"http/1.1").await;
    let wanted = ["tollgate_client_unreadable_total", "tollgate_client_too_slow_total"];
    let settled = async {
        loop {
            let page = page_of(&rig).await;
            if page.sum("tollgate_client_sockets", &[]) == 0.0
                && wanted.iter().all(|name| page.sum(name, &[]) == 1.0)
            {
                return page;
            }
            tokio::task::yield_now().await;
        }
    };
    let page = tokio::time::timeout(Duration::from_secs(60), settled).await.unwrap();
    drop((tls, silent));
    check_calls(&page);
    check_quota(&page);
    check_clients(&page);
    check_process(&page);
    check_table(&page);
}

fn check_clients(page: &Page) {
    for (name, labels, value) in [
        ("tollgate_tls_handshakes_total", [("outcome", "done")], 5.0),
        ("tollgate_tls_handshakes_total", [("outcome", "failed")], 1.0),
        ("tollgate_client_unreadable_total", [("reason", "malformed")], 1.0),
        ("tollgate_client_too_slow_total", [("limit", "no-request")], 1.0),
        ("tollgate_config_reloads_total", [("outcome", "done")], 1.0),
        ("tollgate_app_key_expiry_timestamp_seconds", [("app", "acme")], 4_070_908_800.0),
        ("tollgate_key_expiry_timestamp_seconds", [("key", "acme")], 4_070_908_800.0),
    ] {
        assert_eq!(page.sum(name, &labels), value, "{name} {labels:?}");
    }
    for (name, value) in [
        ("tollgate_client_sockets_accepted_total", 6.0),
        ("tollgate_requests_in_flight", 0.0),
        ("tollgate_flights", 0.0),
        ("tollgate_upload_bytes", 0.0),
        ("tollgate_log_lines_dropped_total", 0.0),
        ("tollgate_ready", 1.0),
        ("tollgate_build_info", 1.0),
        ("tollgate_vendor_host_down", 0.0),
        ("tollgate_vendor_sockets", 2.0),
    ] {
        assert_eq!(page.sum(name, &[]), value, "{name}");
    }
}

fn check_process(page: &Page) {
    let wall = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    for (name, low, high) in [
        ("tollgate_config_loaded_timestamp_seconds", wall - 60.0, wall + 1.0),
        ("process_start_time_seconds", wall - 600.0, wall + 1.0),
        ("process_resident_memory_bytes", 1e6, 1e10),
        ("process_virtual_memory_bytes", 1e6, 1e14),
        ("process_open_fds", 8.0, 1e4),
        ("process_max_fds", 64.0, 1e19),
        ("process_threads", 1.0, 1e3),
        ("process_cpu_seconds_total", 0.001, 1e4),
        ("tollgate_cache_bytes", 1.0, 1e6),
    ] {
        let value = page.sum(name, &[]);
        assert!(low <= value && value <= high, "{name} = {value}");
    }
}

/// Each row has samples, and they have its labels.
fn check_table(page: &Page) {
    for row in Metrics::TABLE {
        let name = match row.kind {
            "histogram" => format!("{}_count", row.name),
            _ => row.sample(),
        };
        let samples = page.find(&name, &[]);
        if name.starts_with("tollgate_shared_") || WITH_A_STORE.contains(&name.as_str()) {
            assert!(samples.is_empty(), "{name} is there without [shared]");
            continue;
        }
        assert!(!samples.is_empty(), "{name} has no sample");
        let labels: BTreeSet<_> = row.labels.iter().map(ToString::to_string).collect();
        for sample in samples {
            assert_eq!(sample.labels.keys().cloned().collect::<BTreeSet<_>>(), labels, "{name}");
        }
    }
}

pub(crate) async fn page_of(rig: &Rig) -> Page {
    let ask = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = raw(rig.gateway.ops, ask.as_bytes(), "").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase().contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    Page::parse(body)
}

fn check_calls(page: &Page) {
    let acme = ("connection", "acme-prod");
    for (name, labels, value) in [
        ("tollgate_requests_total", vec![("operation", "messages.list"), ("code", "ok")], 15.0),
        ("tollgate_requests_total", vec![("operation", "none"), ("code", "unauthenticated")], 1.0),
        ("tollgate_app_requests_total", vec![("app", "acme"), ("code", "ok")], 7.0),
        ("tollgate_app_requests_total", vec![("app", "acme"), ("code", "vendor-throttled")], 1.0),
        ("http_server_request_duration_seconds_count", vec![("operation", "lists.put")], 3.0),
        (
            "http_client_request_duration_seconds_count",
            vec![("status_class", "2xx"), ("operation", "messages.list")],
            15.0,
        ),
        ("http_client_request_duration_seconds_count", vec![("status_class", "5xx")], 1.0),
        ("tollgate_vendor_attempts_total", vec![("operation", "messages.list")], 18.0),
        ("tollgate_vendor_answers_total", vec![acme, ("status_class", "2xx")], 5.0),
        ("tollgate_vendor_answers_total", vec![acme, ("status_class", "4xx")], 3.0),
        ("tollgate_vendor_answers_total", vec![acme, ("status_class", "5xx")], 1.0),
        ("tollgate_vendor_throttled_total", vec![acme], 1.0),
        ("tollgate_retries_total", vec![acme, ("reason", "server-error")], 1.0),
        ("tollgate_retries_total", vec![acme, ("reason", "token")], 1.0),
        ("tollgate_retries_total", vec![], 2.0),
        ("tollgate_idempotency_keys_total", vec![("outcome", "made")], 1.0),
        ("tollgate_vendor_credential_rejected_total", vec![acme], 1.0),
        ("tollgate_vendor_token_replaced_total", vec![acme], 1.0),
        ("tollgate_vendor_token_good", vec![acme], 1.0),
        (
            "tollgate_cache_requests_total",
            vec![("operation", "brands.list"), ("outcome", "hit")],
            1.0,
        ),
        ("tollgate_cache_quota_saved_total", vec![("operation", "brands.list")], 1.0),
        ("tollgate_cache_clears_total", vec![("operation", "lists.put")], 2.0),
        ("tollgate_body_bytes_total", vec![("direction", "in")], 2.0 * 12.0 + SEND.len() as f64),
    ] {
        assert_eq!(page.sum(name, &labels), value, "{name} {labels:?}");
    }
}

fn check_quota(page: &Page) {
    let own = [("connection", "acme-prod"), ("pool", "connection")];
    let (slots, limit) =
        (page.sum("tollgate_quota_slots", &own), page.sum("tollgate_quota_limit", &own));
    assert_eq!((slots, limit), (30.0, 30.0));
    let resting = [own[0], own[1], ("state", "resting")];
    assert_eq!(page.sum("tollgate_quota_slots", &resting), 9.0);
    assert_eq!(page.sum("tollgate_quota_window_seconds", &own), 60.0);
    let closed = page.sum("tollgate_quota_closed_seconds", &[own[0], ("pool", "lists.put")]);
    assert!((1.0..=30.0).contains(&closed), "{closed}");
    for (name, labels, value) in [
        ("tollgate_quota_pace_seconds", vec![own[0], ("lane", "bulk")], 2.0),
        ("tollgate_quota_pace_seconds", vec![own[0], ("lane", "interactive")], 0.0),
        ("tollgate_quota_refusals_total", vec![own[0], ("rule", "vendor-throttled")], 1.0),
        (
            "tollgate_quota_shadow_total",
            vec![("connection", "umbrella-prod"), ("outcome", "quota-exhausted")],
            2.0,
        ),
        ("tollgate_queue_length", vec![own[0], ("lane", "interactive")], 0.0),
        ("tollgate_queue_wait_seconds_count", vec![own[0], ("lane", "interactive")], 7.0),
        ("tollgate_app_queue_length", vec![own[0], ("app", "acme")], 0.0),
        ("tollgate_app_slots", vec![own[0], ("app", "acme")], 9.0),
        ("tollgate_retry_budget", vec![own[0], ("kind", "keyed")], 10.0),
    ] {
        assert_eq!(page.sum(name, &labels), value, "{name} {labels:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn durations_name_a_call_and_its_trace_for_whoever_asks_in_openmetrics() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let mut call = request("GET", "/messages", &setup.acme, "");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    call.headers_mut().insert("traceparent", parent.parse().unwrap());
    let call_id = stack.call(call).await.header("tollgate-call-id").to_owned();
    let page = stack.state.metrics_page(ExpositionFormat::OpenMetrics).await;
    let example = format!(" # {{call_id=\"{call_id}\",trace_id=\"{trace}\"}} ");
    for name in ["http_server", "http_client"] {
        let bucket = format!("{name}_request_duration_seconds_bucket{{");
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with(&bucket)).collect();
        assert!(lines.iter().any(|line| line.contains(&example)), "{lines:#?}");
    }
    assert!(!stack.state.metrics_page(ExpositionFormat::Classic).await.contains(&call_id));
}
