//! Sessions of pages over sockets: how one begins, what it may do, what ends it.

use serde_json::Value;

use crate::admin::{Asked, admin_key};

const JSON: &str = "Content-Type: application/json";
const CHANGE: &str = ", rights = \"change\"";
const OWN: &str = "Origin: http://localhost";

/// The status, and what the answer holds.
fn read(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

async fn log_in(asked: &Asked, key: &str) -> String {
    asked.post("/api/login", JSON, &format!("{{\"key\":\"{key}\"}}")).await
}

/// The cookie that an answer sets.
fn cookie(answer: &str) -> String {
    let field = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    field.expect("a cookie is set").split(';').next().unwrap().to_owned()
}

async fn session(asked: &Asked, cookie: &str) -> (u16, Value) {
    read(&asked.get("/api/session", &format!("Host: localhost\r\nCookie: {cookie}")).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_logs_in_asks_and_logs_out() {
    let asked = Asked::with_rest(CHANGE, "").await;
    let answer = log_in(&asked, &asked.key).await;
    let (status, document) = read(&answer);
    assert_eq!(
        (status, &document["key"], &document["rights"]),
        (200, &"ops1".into(), &"change".into())
    );
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["instance"], asked.gateway.state().instance().as_ref());
    let set = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = cookie(&answer);
    assert_eq!(session(&asked, &cookie).await, (200, document));
    let out = |fields: &str| format!("{JSON}\r\nCookie: {cookie}\r\n{fields}");
    // Another port of this machine is the same site, and its pages send the cookie.
    for foreign in ["X-Nothing: here", "Origin: http://localhost:3000"] {
        let (status, problem) = read(&asked.post("/api/logout", &out(foreign), "").await);
        assert_eq!((status, &problem["code"]), (403, &"origin-refused".into()), "{foreign}");
    }
    let answer = asked.post("/api/logout", &out(OWN), "").await;
    assert_eq!(read(&answer), (200, serde_json::json!({"ended": true})));
    assert!(answer.contains("tollgate-session=; ") && answer.contains("Max-Age=0"), "{answer}");
    assert_eq!(session(&asked, &cookie).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_a_reload_drops_or_changes_its_key() {
    let mut asked = Asked::start().await;
    let cookies =
        [cookie(&log_in(&asked, &asked.key).await), cookie(&log_in(&asked, &asked.key).await)];
    asked.gateway.reload(&asked.setup.config()).unwrap();
    assert_eq!(session(&asked, &cookies[0]).await.0, 200, "its key stayed");
    let (other, _) = admin_key("ops2", "");
    let dropped = asked.with(&other);
    asked.gateway.reload(&dropped).unwrap();
    assert_eq!(session(&asked, &cookies[0]).await.0, 401, "its key is gone");
    let (changed, _) = admin_key("ops1", "");
    let changed = asked.with(&changed);
    asked.gateway.reload(&changed).unwrap();
    assert_eq!(session(&asked, &cookies[1]).await.0, 401, "its key is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_no_json_or_has_no_key_or_comes_from_elsewhere_opens_nothing() {
    let asked = Asked::start().await;
    let document = format!("{{\"key\":\"{}\"}}", asked.key);
    for (fields, sent, status) in [
        ("Content-Type: application/x-www-form-urlencoded", document.as_str(), 400),
        ("Content-Type: text/plain", &document, 400),
        (JSON, "{\"key\":5}", 400),
        (JSON, "", 400),
        (&format!("{JSON}\r\nOrigin: http://evil.example"), &document, 403),
        (JSON, &format!("{{\"key\":\"{}\"}}", asked.setup.acme), 401),
        (JSON, &format!("{{\"key\":\"{}x\"}}", asked.key), 401),
    ] {
        let answer = asked.post("/api/login", fields, sent).await;
        assert_eq!(read(&answer).0, status, "{fields}: {answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
        for secret in [&asked.key, &asked.setup.acme] {
            assert!(!answer.contains(&secret[8..]), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_wrong_ten_times_waits_and_then_even_the_right_key_does() {
    let asked = Asked::start().await;
    for _ in 0..10 {
        assert_eq!(read(&log_in(&asked, "tg_ops1_guess").await).0, 401);
    }
    let answer = log_in(&asked, &asked.key).await;
    let (status, problem) = read(&answer);
    assert_eq!((status, &problem["code"]), (429, &"logins-limited".into()), "{answer}");
    let after = answer.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=60).contains(&after.trim().parse::<u64>().unwrap()), "{after}");
    let key = format!("Host: localhost\r\nx-api-key: {}", asked.key);
    assert!(
        asked.get("/api/session", &key).await.starts_with("HTTP/1.1 200 "),
        "a program asks on"
    );
}
