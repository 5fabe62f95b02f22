//! Clients that are hostile, slow, large or only curious: refused rightly, and nobody else suffers.

use http_body_util::BodyExt;
use tollgate::app::Gateway;

use crate::rig::{Certificate, Client, Rig, raw};
use crate::support::{Lines, Setup};

/// What a request is, its line, its fields and what follows the head, and the status it gets.
const AMBIGUOUS: [(&str, &str, &str, &str); 17] = [
    ("no host", "GET /brands HTTP/1.1", "", "400"),
    ("two hosts", "GET /brands HTTP/1.1", "Host: a\r\nHost: b", "400"),
    ("a URL of another kind", "GET ftp://a/brands HTTP/1.1", "Host: a", "400"),
    ("a URL with a user", "GET http://u@a/brands HTTP/1.1", "Host: a", "400"),
    ("a quoted host", "GET /brands HTTP/1.1", "Host: \"a\"", "400"),
    ("an authority", "GET a.example HTTP/1.1", "Host: a", "400"),
    ("an asterisk", "OPTIONS * HTTP/1.1", "Host: a", "400"),
    ("CONNECT", "CONNECT a:1 HTTP/1.1", "Host: a", "400"),
    ("TRACE", "TRACE /brands HTTP/1.1", "Host: a", "405"),
    (
        "two codings",
        "POST /send HTTP/1.1",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "400",
    ),
    (
        "a coding twice",
        "POST /send HTTP/1.1",
        "Host: a\r\nTransfer-Encoding: chunked, chunked",
        "400",
    ),
    ("an unknown coding", "POST /send HTTP/1.1", "Host: a\r\nTransfer-Encoding: gzip", "400"),
    (
        "two lengths",
        "POST /send HTTP/1.1",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 2",
        "400",
    ),
    ("a length of letters", "POST /send HTTP/1.1", "Host: a\r\nContent-Length: x", "400"),
    ("a dot segment", "GET /brands/../providers HTTP/1.1", "Host: a", "400"),
    ("a control in the path", "GET /brands/%0a HTTP/1.1", "Host: a", "400"),
    ("no HTTP", "hello", "", "400"),
];

#[tokio::test]
async fn requests_that_no_two_servers_read_alike_are_refused() {
    let rig = Rig::start("").await;
    let key = &rig.setup.acme;
    for (what, line, fields, status) in AMBIGUOUS {
        let fields = if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
        let request =
            format!("{line}\r\n{fields}x-api-key: {key}\r\nConnection: close\r\n\r\n0\r\n\r\n");
        let answer = raw(rig.gateway.data, request.as_bytes(), "\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    }
    assert!(crate::support::arrived(&rig.courier).is_empty(), "nothing of it reached the vendor");
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    assert_eq!(client.send("GET", "/brands", key, Vec::new()).await.status().as_u16(), 200);
}

#[tokio::test]
async fn nothing_behind_a_request_that_is_unclear_is_read_as_the_next_one() {
    let rig = Rig::start("").await;
    let key = &rig.setup.acme;
    let hidden = format!("GET /brands HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n\r\n");
    for (line, fields) in [
        ("POST /send", "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("POST /send", "Host: a\r\nTransfer-Encoding: chunked, chunked"),
        ("POST /send", "Host: a\r\nTransfer-Encoding: gzip, chunked"),
        ("POST /send", "Host: a\r\nTransfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
        ("POST /send", "Host: a, b\r\nTransfer-Encoding: chunked"),
        ("CONNECT 127.0.0.1:22", "Host: a"),
        ("CONNECT /send", "Host: a"),
    ] {
        let end = if line.starts_with("POST") { "0\r\n\r\n" } else { "" };
        let request =
            format!("{line} HTTP/1.1\r\n{fields}\r\nx-api-key: {key}\r\n\r\n{end}{hidden}");
        // Until the gateway closes: a second answer would be in it.
        let answers = raw(rig.gateway.data, request.as_bytes(), "").await;
        assert!(answers.starts_with("HTTP/1.1 400 "), "{line} {fields}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{line} {fields}: {answers}");
    }
    assert!(crate::support::arrived(&rig.courier).is_empty(), "nothing of it reached the vendor");
}

#[tokio::test]
async fn a_request_by_way_of_a_proxy_setting_is_served() {
    let rig = Rig::start("").await;
    let end = format!("x-api-key: {}\r\nConnection: close\r\n\r\n", rig.setup.acme);
    for (target, version, host) in [
        ("http://gateway.example:8080/brands?limit=1", "1.1", "Host: gateway.example:8080\r\n"),
        ("https://gateway.example/brands", "1.1", "Host: other.example\r\n"),
        ("http://gateway.example/brands", "1.0", ""),
        ("/brands", "1.0", ""),
    ] {
        let request = format!("GET {target} HTTP/{version}\r\n{host}{end}");
        let answer = raw(rig.gateway.data, request.as_bytes(), "").await;
        assert!(answer.starts_with(&format!("HTTP/{version} 200 ")), "{target}: {answer}");
    }
    let arrived = crate::support::arrived(&rig.courier);
    assert!(
        arrived
            .iter()
            .all(|call| call.headers.iter().all(|(_, value)| value != "gateway.example:8080"))
    );
}

#[tokio::test]
async fn heads_over_the_limits_are_refused() {
    let rig = Rig::start("").await;
    let end = format!("Host: a\r\nx-api-key: {}\r\nConnection: close\r\n\r\n", rig.setup.acme);
    for (request, status) in [
        (format!("GET /brands?{} HTTP/1.1\r\n{end}", "x".repeat(9 << 10)), "414"),
        (format!("GET /brands HTTP/1.1\r\n{}{end}", "x: y\r\n".repeat(101)), "431"),
        (format!("GET /brands HTTP/1.1\r\nx: {}\r\n{end}", "y".repeat(40 << 10)), "431"),
    ] {
        let answer = raw(rig.gateway.data, request.as_bytes(), "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
    assert!(crate::support::arrived(&rig.courier).is_empty());
}

#[tokio::test]
async fn a_socket_stays_usable_after_a_refusal() {
    let rig = Rig::start("").await;
    for h2 in [false, true] {
        let mut client = Client::connect(rig.gateway.data, h2, None).await;
        for (method, target, status) in [
            ("GET", "/nope", 404),
            ("PATCH", "/brands", 405),
            ("GET", "/a/./b", 400),
            ("GET", "/brands", 200),
        ] {
            let response = client.send(method, target, &rig.setup.acme, Vec::new()).await;
            assert_eq!(response.status().as_u16(), status, "{target}");
            response.into_body().collect().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_octet_more_does_not() {
    let rig = Rig::start("").await;
    for h2 in [false, true] {
        let mut client = Client::connect(rig.gateway.data, h2, None).await;
        let mut body = b"{\"profile\":{\"x\":\"".to_vec();
        body.resize(6 * 1024 * 1024 - 3, b'y');
        body.extend_from_slice(b"\"}}");
        let response = client.send("POST", "/profiles/u", &rig.setup.acme, body.clone()).await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(crate::support::arrived(&rig.courier).last().unwrap().body_len, 6 * 1024 * 1024);
        body.push(b' ');
        let response = client.send("POST", "/profiles/u", &rig.setup.acme, body).await;
        assert_eq!(response.status().as_u16(), 413);
    }
    assert_eq!(crate::support::arrived(&rig.courier).len(), 2);
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_refused_when_it_is_over() {
    let rig = Rig::start("body_size = \"1KiB\"\n").await;
    let head = format!(
        "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        rig.setup.acme
    );
    let body = format!("200\r\n{}\r\n", "x".repeat(512)).repeat(3);
    let answer = raw(rig.gateway.data, format!("{head}{body}").as_bytes(), "").await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("1024 octets"), "{answer}");
}

/// As blocking clients do: all of the request first, then the answer. The socket stays usable.
#[tokio::test]
async fn a_client_that_writes_its_whole_upload_first_still_reads_its_refusal() {
    let rig = Rig::start("").await;
    for (key, status) in [("tg_a_b", "401"), (rig.setup.acme.as_str(), "413")] {
        let head = format!("POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n");
        let mut requests = format!("{head}Content-Length: 20000000\r\n\r\n").into_bytes();
        requests.resize(requests.len() + 20_000_000, b'x');
        let next = "GET /.tollgate/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        requests.extend_from_slice(next.as_bytes());
        let answers = raw(rig.gateway.data, &requests, "").await;
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{answers}");
        assert!(answers.contains("HTTP/1.1 200 ") && answers.ends_with("ok\n"), "{answers}");
    }
}

#[tokio::test]
async fn a_refused_upload_is_never_asked_for() {
    let rig = Rig::start("").await;
    let head = |key: &str, length: usize| {
        format!(
            "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let wrong = raw(rig.gateway.data, head("tg_a_b", 10).as_bytes(), "\r\n\r\n").await;
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
    let large = raw(rig.gateway.data, head(&rig.setup.acme, 7 << 20).as_bytes(), "\r\n\r\n").await;
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let fine = raw(rig.gateway.data, head(&rig.setup.acme, 10).as_bytes(), "\r\n\r\n").await;
    assert!(fine.starts_with("HTTP/1.1 100 Continue"), "{fine}");
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let limits = "head_time = \"500ms\"\nbody_idle = \"500ms\"\nkeep_alive = \"500ms\"\nhandshake = \"500ms\"\n";
    let rig = Rig::start(limits).await;
    let at = rig.gateway.data;
    let key = &rig.setup.acme;
    assert_eq!(raw(at, b"", "").await, "", "no head at all");
    assert_eq!(raw(at, b"GET / HTTP/1.1\r\nHost:", "").await, "", "half a head");
    assert_eq!(raw(at, b"PRI * HTTP/2.0\r\n", "").await, "", "half a preface");
    let half = format!(
        "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nContent-Length: 10\r\n\r\nhalf"
    );
    let answer = raw(at, half.as_bytes(), "").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request-timeout"), "{answer}");
    let rest = format!("GET /brands HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n\r\n");
    let answer = raw(at, rest.as_bytes(), "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "answered, then closed: {answer}");
    let tls = Certificate::new();
    let rig = Rig::start(&format!("{limits}{}", tls.setting())).await;
    assert_eq!(raw(rig.gateway.data, b"\x16\x03", "").await, "", "half a handshake");
}

#[tokio::test]
async fn health_is_for_everybody_and_leaves_no_line() {
    let rig = Rig::start("").await;
    let ask = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    };
    let data = rig.gateway.data;
    assert!(
        raw(data, ask("GET", "/.tollgate/health").as_bytes(), "")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        raw(data, ask("POST", "/.tollgate/health").as_bytes(), "")
            .await
            .starts_with("HTTP/1.1 405 ")
    );
    for (version, fields, status) in [
        ("1.0", "", "200"),
        ("1.1", "", "400"),
        ("1.1", "Host: a\r\nHost: b\r\n", "400"),
        ("1.1", "Host: a b\r\n", "400"),
        ("1.1", "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", "400"),
    ] {
        let request = format!("GET /.tollgate/health HTTP/{version}\r\n{fields}\r\n");
        let answer = raw(data, request.as_bytes(), "\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/{version} {status} ")), "{fields}: {answer}");
    }
    assert!(rig.lines.all().is_empty());
    let ops = rig.gateway.ops;
    for (path, status) in
        [("/livez", 200), ("/readyz", 200), ("/version", 200), ("/metrics", 200), ("/nope", 404)]
    {
        let answer = raw(ops, ask("GET", path).as_bytes(), "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    assert!(raw(ops, ask("DELETE", "/metrics").as_bytes(), "").await.starts_with("HTTP/1.1 405 "));
    for fields in ["", "Host: a\r\nHost: b\r\n", "Host: a b\r\n"] {
        let request = format!("GET /metrics HTTP/1.1\r\n{fields}\r\n");
        let answer = raw(ops, request.as_bytes(), "").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields}: {answer}");
    }
}

#[tokio::test]
async fn metrics_count_calls_by_operation_and_code() {
    let rig = Rig::start("").await;
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    for target in ["/messages", "/messages", "/nope"] {
        client
            .send("GET", target, &rig.setup.acme, Vec::new())
            .await
            .into_body()
            .collect()
            .await
            .unwrap();
    }
    drop(client);
    let ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let wanted = [
        "tollgate_requests_total{operation=\"messages.list\",status_class=\"2xx\",code=\"ok\"} 2",
        "tollgate_requests_total{operation=\"none\",status_class=\"4xx\",code=\"unknown-operation\"} 1",
        "http_server_request_duration_seconds_count{operation=\"messages.list\",status_class=\"2xx\"} 2",
        "http_client_request_duration_seconds_count{operation=\"messages.list\",status_class=\"2xx\"} 2",
        "tollgate_requests_in_flight 0",
    ];
    // A record ends when the server lets go of the answer, a moment after the client has it; its line
    // is written last. Each look takes the gateway a round of its own.
    let mut page = String::new();
    for _ in 0..1000 {
        let ended = rig.lines.all().len() == 3;
        page = raw(rig.gateway.ops, ask, "").await;
        if ended {
            break;
        }
    }
    for line in wanted {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn what_hyper_answers_by_itself_is_counted_by_its_reason() {
    let rig = Rig::start("").await;
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    raw(rig.gateway.data, long.as_bytes(), "").await;
    raw(rig.gateway.data, b"GET / HTTP/9.9\r\n\r\n", "").await;
    // The preface, then data on a stream that was never opened.
    raw(rig.gateway.data, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x01\0\0\0\0\0\x01A", "").await;
    let wanted = ["head-too-large", "malformed", "protocol"]
        .map(|reason| format!("tollgate_client_unreadable_total{{reason=\"{reason}\"}} 1"));
    let counted = async {
        loop {
            let page = rig.gateway.state().metrics().page();
            if wanted.iter().all(|line| page.contains(line)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), counted).await.unwrap();
}

#[tokio::test]
async fn a_base_url_that_leads_back_is_a_loop() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let courier = simulator::Server::new(simulator::Options::default());
    // By another one, as through a load balancer: its own address the configuration refuses.
    let balancer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let before = balancer.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = balancer.accept().await {
            let mut gateway = tokio::net::TcpStream::connect(free).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut gateway).await;
            });
        }
    });
    let text = format!(
        "[ops]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = \"{free}\"\n[vendor]\nbase_url = \"http://{before}\"\n"
    );
    let setup = Setup::new(&text);
    let lines = Lines::default();
    let gateway = Gateway::start(setup.config(), lines.log()).await.unwrap();
    let rig = Rig { gateway, courier, setup, lines };
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    let response = client.send("GET", "/messages", &rig.setup.acme, Vec::new()).await;
    assert_eq!(response.status().as_u16(), 508);
    assert_eq!(rig.lines.all().len(), 2, "the request came back once");
}
