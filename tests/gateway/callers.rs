//! Callers: their keys, scopes, connections and tenants, and what of their headers may pass.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{ALL, Setup, Stack, request, token, with};

fn without_key(target: &str) -> http::Request<tollgate::call::StreamBody> {
    let mut request = request("GET", target, "", "");
    request.headers_mut().remove("x-api-key");
    request
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_key_the_answer_is_the_same_for_every_path_and_guess() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let wrong = format!("tg_acme_{}", "A".repeat(43));
    let unknown = format!("tg_nobody_{}", "A".repeat(43));
    let basic = "Basic dXNlcjpwYXNz";
    let key = setup.acme.as_str();
    let requests = vec![
        without_key("/brands"),
        without_key("/no/such/path"),
        with(without_key("/brands"), &[("x-api-key", &wrong)]),
        with(without_key("/brands"), &[("x-api-key", &unknown)]),
        with(without_key("/brands"), &[("authorization", basic)]),
        with(without_key("/brands"), &[("authorization", "Bearer courier-token")]),
        with(without_key("/brands"), &[("x-api-key", key), ("x-api-key", key)]),
        with(without_key("/brands"), &[("authorization", key), ("authorization", key)]),
        with(without_key("/brands"), &[("x-api-key", ""), ("authorization", key)]),
        with(without_key("/c/acme-prod/brands"), &[("cookie", key)]),
    ];
    let mut seen = BTreeSet::new();
    for request in requests {
        let answer = stack.call(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("www-authenticate")),
            (401, "Bearer realm=\"tollgate\"")
        );
        let mut json = answer.json();
        json["call_id"] = "".into();
        seen.insert(json.to_string());
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert!(stack.arrived().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_works_in_each_of_its_forms() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let bearer = format!("Bearer {}", setup.acme);
    let basic = format!("Basic {}", STANDARD.encode(format!("a@example.com:{}", setup.acme)));
    for field in [
        ("x-api-key", setup.acme.as_str()),
        ("authorization", &bearer),
        ("authorization", &setup.acme),
        ("authorization", &basic),
        ("x-api-key", &bearer),
    ] {
        let answer = stack.call(with(without_key("/messages"), &[field])).await;
        assert_eq!(answer.status.as_u16(), 200, "{field:?}");
    }
}

/// Everything a client could try to slip past the gateway.
fn hostile<'a>(key: &'a str, other: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("authorization", "Bearer foreign-token"),
        ("authorization", other),
        ("connection", "authorization, x-api-key"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("cookie", "session=1"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("forwarded", "for=1.2.3.4;host=evil.example"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-authorization", key),
        ("x-real-ip", "1.2.3.4"),
        ("x-original-url", "/providers"),
        ("x-rewrite-url", "/providers"),
        ("x-http-method-override", "DELETE"),
        ("x-stainless-lang", "python"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("baggage", "secret=1"),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_call_carries_its_own_tenants_token_and_nothing_that_the_client_could_slip_in() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let tenants =
        [("acme", &setup.acme, &setup.umbrella), ("umbrella", &setup.umbrella, &setup.acme)];
    let calls = (0..40).map(|n| {
        let (name, key, other) = tenants[n % 2];
        let target = format!("/profiles/{name}-{n}");
        let stack = &stack;
        async move {
            let call =
                with(request("POST", &target, key, "{\"profile\":{}}"), &hostile(key, other));
            assert_eq!(stack.call(call).await.status.as_u16(), 200);
        }
    });
    futures_util::future::join_all(calls).await;
    let arrived = stack.arrived();
    assert_eq!(arrived.len(), 40);
    for call in arrived {
        let name = if call.target.contains("acme") { "acme" } else { "umbrella" };
        let values = |field: &str| -> Vec<&str> {
            let same = call.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(field));
            same.map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(values("authorization"), [format!("Bearer {}", token(name))]);
        // The key is the gateway's own: these clients sent none.
        let allowed =
            ["authorization", "content-length", "content-type", "host", "idempotency-key", "via"];
        assert!(values("idempotency-key")[0].starts_with("tollgate-"));
        for (field, value) in &call.headers {
            assert!(allowed.contains(&field.to_lowercase().as_str()), "{field}: {value}");
            assert!(!value.contains("tg_"), "{field}");
        }
        assert!(values("via")[0].starts_with("1.1 tollgate-"));
    }
}

#[tokio::test(start_paused = true)]
async fn end_to_end_fields_pass_as_they_are() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let fields = [
        ("idempotency-key", "k-1"),
        ("x-idempotency-expiration", "2027-01-01T00:00:00Z"),
        ("user-agent", "Courier/Python 9.13.0"),
        ("accept", "*/*"),
        ("x-custom", "a"),
        ("x-custom", "b"),
    ];
    stack.call(with(request("POST", "/send", &setup.acme, "{}"), &fields)).await;
    let arrived = stack.arrived();
    for (name, value) in fields {
        let there = arrived[0].headers.iter().any(|(n, v)| n == name && v == value);
        assert!(there, "{name}: {value}");
    }
}

/// Adds the connection `acme-test` to the tenant `acme`; its app may use both.
pub(crate) fn with_a_second_connection() -> Setup {
    let mut setup = Setup::new("");
    let file =
        std::env::temp_dir().join(format!("tollgate-second-{}", tollgate::ids::RandomId::new()));
    std::fs::write(&file, "Bearer token-of-acme-test").unwrap();
    let app = "[[tenant.app]]\nid = \"acme\"";
    let connection = format!(
        "[[tenant.connection]]\nid = \"acme-test\"\ntoken = {{ file = '{}' }}\n{app}",
        file.display()
    );
    setup.text = setup.text.replacen(app, &connection, 1);
    let both = format!("{ALL}connections = [\"acme-prod\", \"acme-test\"]\n");
    setup.text = setup.text.replacen(ALL, &both, 1);
    setup
}

#[tokio::test(start_paused = true)]
async fn a_path_prefix_picks_another_connection_of_the_app() {
    let setup = with_a_second_connection();
    let stack = Stack::new(&setup);
    for (target, connection, arrives_as) in [
        ("/messages?x=1", "acme", "/messages?x=1"),
        ("/c/acme-prod/messages", "acme", "/messages"),
        ("/c/acme-test/lists/a%2Fb?y=%2F", "acme-test", "/lists/a%2Fb?y=%2F"),
    ] {
        stack.call(request("GET", target, &setup.acme, "")).await;
        let call = stack.arrived().pop().unwrap();
        let carried = call.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        assert_eq!(carried.1, format!("Bearer {}", token(connection)));
        assert_eq!(call.target, arrives_as);
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_prefix_picks_no_connection_that_the_app_has_not() {
    let setup = with_a_second_connection();
    let stack = Stack::new(&setup);
    for (target, code) in [
        ("/c/umbrella-prod/brands", "scope-missing"),
        ("/c/nobody/brands", "scope-missing"),
        ("/c//brands", "scope-missing"),
        ("/c/acme-prod", "unknown-operation"),
        ("/c/acme-prod//brands", "unknown-operation"),
        ("/c/acme-prod/c/acme-test/brands", "unknown-operation"),
    ] {
        let answer = stack.call(request("GET", target, &setup.acme, "")).await;
        assert_eq!(answer.code(), code, "{target}");
    }
    assert!(stack.arrived().is_empty());
}

#[tokio::test(start_paused = true)]
async fn unlisted_paths_need_their_scope_and_never_reach_what_must_be_named() {
    let mut setup = Setup::new("");
    let stack = Stack::new(&setup);
    assert_eq!(
        stack.call(request("GET", "/new/thing", &setup.acme, "")).await.code(),
        "unknown-operation"
    );
    setup.text = setup.text.replace(ALL, "scopes = [\"unlisted\"]\n");
    let stack = Stack::new(&setup);
    let answer = stack.call(request("POST", "/new/thing", &setup.acme, "{}")).await;
    assert_eq!((answer.code(), stack.arrived().len()), (String::new(), 1));
    assert_eq!(stack.lines.last()["operation"], "unlisted");
    for (method, target, code) in [
        ("GET", "/brands", "scope-missing"),
        ("GET", "/providers/a/b/c", "unknown-operation"),
        ("POST", "/AUTH/issue-token", "unknown-operation"),
        ("POST", "/Client/q", "unknown-operation"),
        ("POST", "/%61uth/issue-token", "unknown-operation"),
        ("POST", "/auth%2Fissue-token", "unknown-operation"),
        ("POST", "/auth;x=1/issue-token", "unknown-operation"),
        ("POST", "/x/..%2Fauth%2Fissue-token", "malformed-request"),
        ("POST", "/Send", "unknown-operation"),
        ("POST", "/%73end", "unknown-operation"),
        // A server that decodes once takes it for a message whose id is x%2Fy.
        ("GET", "/%6dessages/x%252Fy", "unknown-operation"),
        ("GET", "/Profiles/u%2Fx/../y", "malformed-request"),
        ("GET", "/Users/u/preferences", "unknown-operation"),
        ("GET", "/new//thing", "unknown-operation"),
        ("GET", "/new/", "unknown-operation"),
        ("TRACE", "/new/thing", "method-not-allowed"),
        ("OPTIONS", "/new/thing", "method-not-allowed"),
    ] {
        assert_eq!(
            stack.call(request(method, target, &setup.acme, "")).await.code(),
            code,
            "{method} {target}"
        );
    }
    assert_eq!(stack.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_access_line_says_who_and_what_and_holds_no_path_body_or_secret() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let fields = [
        ("x-request-id", "req-1"),
        ("x-stainless-lang", "python"),
        ("x-stainless-package-version", "9.13.0"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let body = "{\"profile\":{\"email\":\"private@example.com\"}}";
    let answer = stack
        .call(with(request("POST", "/profiles/private-user?q=private", &setup.acme, body), &fields))
        .await;
    assert_eq!(
        (answer.header("x-request-id"), answer.header("tollgate-call-id").len()),
        ("req-1", 32)
    );
    let line = stack.lines.last();
    for (name, value) in [
        ("level", "INFO"),
        ("request_id", "req-1"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("tenant", "acme"),
        ("app", "acme"),
        ("key_id", "acme"),
        ("connection", "acme-prod"),
        ("operation", "profiles.merge"),
        ("method", "POST"),
        ("code", "ok"),
        ("sdk", "python/9.13.0"),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!(line["call_id"], answer.header("tollgate-call-id"));
    assert_eq!((&line["status"], &line["bytes_in"]), (&200.into(), &body.len().into()));
    assert_eq!(line["bytes_out"], answer.body.len());
    let fields = "ts level target message call_id request_id trace_id tenant app key_id key_detail connection operation method status code outcome lane queue_ms vendor_ms total_ms attempts cache cache_detail bytes_in bytes_out sdk";
    for field in fields.split(' ') {
        assert!(line.get(field).is_some(), "{field}");
    }
    let text = line.to_string();
    for secret in ["private", setup.acme.as_str(), "token-of-acme"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_id_that_could_break_a_log_line_is_replaced() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    for bad in ["a b", "a\"b", &"x".repeat(129), ""] {
        let answer = stack
            .call(with(request("GET", "/messages", &setup.acme, ""), &[("x-request-id", bad)]))
            .await;
        assert_eq!(answer.header("x-request-id"), answer.header("tollgate-call-id"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_so_in_every_place_that_a_client_may_look() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let answer = stack.call(request("GET", "/nope", &setup.acme, "")).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("tollgate-outcome"), "not-sent");
    assert_eq!(
        answer.header("proxy-status"),
        "tollgate; error=http_request_denied; details=\"unknown-operation\""
    );
    let json = answer.json();
    assert_eq!(
        (&json["type"], &json["status"], &json["outcome"]),
        (&"urn:tollgate:unknown-operation".into(), &404.into(), &"not-sent".into())
    );
    assert_eq!(json["call_id"], answer.header("tollgate-call-id"));
    assert!(json["message"].is_string() && json["title"].is_string() && json["detail"].is_string());
}
