//! The admin port's door over sockets: TLS, names, networks, fields for browsers, kinds of keys.

use http_body_util::BodyExt;

use crate::admin::{Asked, admin_key};
use crate::page::Page;
use crate::rig::{Certificate, Client, raw};

/// Asks over TLS; gives the status.
async fn over_tls(asked: &Asked, certificate: &Certificate, h2: bool, host: &str) -> u16 {
    let mut client = Client::connect(asked.admin, h2, Some(certificate)).await;
    let mut fields = http::HeaderMap::new();
    if !h2 {
        fields.insert("host", host.parse().unwrap());
    }
    let uri = if h2 { format!("https://{host}/api/version") } else { "/api/version".to_owned() };
    let request = http::Request::builder().method("GET").uri(uri).header("x-api-key", &asked.key);
    let mut request = request.body(http_body_util::Full::default()).unwrap();
    request.headers_mut().extend(fields);
    let answer = match &mut client {
        Client::H1(sender) => sender.send_request(request).await.unwrap(),
        Client::H2(sender) => sender.send_request(request).await.unwrap(),
    };
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_port_answers_under_its_own_names_and_takes_a_new_certificate() {
    let certificate = Certificate::new();
    let rest = format!("{}hosts = [\"ops.example.com\"]\n", certificate.setting());
    let mut asked = Asked::with_rest("", &rest).await;
    for h2 in [false, true] {
        for (host, status) in
            [("ops.example.com", 200), ("localhost", 200), ("evil.example.com", 403)]
        {
            assert_eq!(over_tls(&asked, &certificate, h2, host).await, status, "{host} {h2}");
        }
    }
    let plain = asked.get("/api/version", &format!("x-api-key: {}", asked.key)).await;
    assert!(!plain.contains("HTTP/1.1 200"), "{plain}");
    let page = Page::of(asked.gateway.state()).await;
    let expiry = "tollgate_tls_certificate_expiry_timestamp_seconds";
    assert_eq!(page.find(expiry, &[("listener", "admin")]).len(), 1);
    let renewed = Certificate::new();
    std::fs::copy(&renewed.cert, &certificate.cert).unwrap();
    std::fs::copy(&renewed.key, &certificate.key).unwrap();
    let (entry, key) = admin_key("ops2", "");
    let config = asked.with(&entry);
    asked.gateway.reload(&config).unwrap();
    asked.key = key;
    assert_eq!(over_tls(&asked, &renewed, false, "localhost").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_from_an_address_that_is_not_listed_is_closed_and_noted() {
    let asked = Asked::with_rest("", "clients = [\"10.0.0.0/8\"]\n").await;
    let key = format!("Host: localhost\r\nx-api-key: {}", asked.key);
    assert_eq!(asked.get("/api/version", &key).await, "");
    let line = serde_json::to_value(&*asked.gateway.state().audit().last(1)[0]).unwrap();
    assert_eq!(
        (line["act"].as_str(), line["outcome"].as_str()),
        (Some("connect"), Some("refused"))
    );
    assert_eq!(line["peer"], "127.0.0.1");
    let listed = Asked::with_rest("", "clients = [\"127.0.0.1\", \"10.0.0.0/8\"]\n").await;
    let key = format!("Host: localhost\r\nx-api-key: {}", listed.key);
    assert!(listed.get("/api/version", &key).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_address_is_taken_from_the_list_may_not_ask_on() {
    let mut asked = Asked::start().await;
    let mut client = Client::connect(asked.admin, false, None).await;
    let Client::H1(sender) = &mut client else { panic!("it is HTTP/1.1") };
    let mut status = async || {
        let request = http::Request::builder().uri("/api/version").header("host", "localhost");
        let request = request.header("x-api-key", &asked.key);
        sender.ready().await.unwrap();
        let answer = sender.send_request(request.body(http_body_util::Full::default()).unwrap());
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        status
    };
    assert_eq!(status().await, 200);
    let other = asked.with_other_rest("clients = [\"10.0.0.0/8\"]\n");
    asked.gateway.reload(&other).unwrap();
    assert_eq!(status().await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_port_is_no_key_of_the_other_and_only_its_holder_is_told() {
    let asked = Asked::start().await;
    let send = |key: &str| {
        format!(
            "GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nConnection: close\r\n\r\n"
        )
    };
    let own = raw(asked.gateway.data, send(&asked.key).as_bytes(), "").await;
    assert!(own.starts_with("HTTP/1.1 401 "), "{own}");
    assert!(own.contains("that is a key of an operator; send a gateway key"), "{own}");
    assert!(!own.contains(&asked.key), "{own}");
    let guessed = format!("tg_ops1_{}", "A".repeat(43));
    let other = raw(asked.gateway.data, send(&guessed).as_bytes(), "").await;
    assert!(other.contains("send a gateway key") && !other.contains("operator"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_a_browser_what_it_may_do_with_it() {
    let asked = Asked::start().await;
    let key = format!("Host: localhost\r\nx-api-key: {}", asked.key);
    for (path, fields) in [
        ("/api/version", key.as_str()),
        ("/api/nowhere", &key),
        ("/api/version", "Host: localhost"),
        ("/api/version", "Host: evil.example"),
    ] {
        let answer = asked.get(path, fields).await.to_ascii_lowercase();
        for field in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; ",
            "frame-ancestors 'none'",
            "x-frame-options: deny",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(field), "{path} {fields}: {field}: {answer}");
        }
        assert!(!answer.contains("unsafe") && !answer.contains("access-control"), "{answer}");
    }
}
