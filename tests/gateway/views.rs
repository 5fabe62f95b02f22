//! What operators see of one thing: a connection, its last minutes, the cache, the vendor's side, the
//! usage, the configuration, the calls.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tollgate::config::Config;
use tollgate::ids::RandomId;

use crate::live::Watched;
use crate::process::{Process, courier};
use crate::rig::{Client, PORTS};
use crate::support::{Setup, token};

fn sum(column: &Value) -> u64 {
    column.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_slot_of_a_connection_says_what_it_does_and_for_whom() {
    let watched = Watched::with_quota("", "[quota]\ncalls = 5\n").await;
    watched.call("/messages").await;
    watched.call("/lists").await;
    let acme = watched.json("/api/connections/acme-prod").await;
    assert_eq!((&acme["connection"], &acme["tenant"]), (&"acme-prod".into(), &"acme".into()));
    assert_eq!(acme["words"], "nothing waits; 3 of 5 slots are free");
    let slots = acme["slots"].as_array().unwrap();
    let states: Vec<_> = slots.iter().map(|slot| slot["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["resting", "resting", "free", "free", "free"]);
    let first = &slots[0];
    assert_eq!(first["app"], "acme");
    let (since, left) =
        (first["since_ms"].as_u64().unwrap(), first["free_in_ms"].as_u64().unwrap());
    assert!((60_000..=60_100).contains(&(since + left)), "{first}");
    assert_eq!(slots[4], json!({"state":"free","app":null,"since_ms":null,"free_in_ms":null}));
    let share = &acme["shares"][0];
    assert_eq!(
        (&share["app"], &share["share"], &share["weight"]),
        (&"acme".into(), &1.0.into(), &1.into())
    );
    assert!(share["waited_ms_p99"].as_u64().is_some_and(|ms| ms < 1_000), "{share}");
    assert_eq!(watched.json("/api/connections").await[0]["tenant"], "acme");
    let (head, body) = watched.get("/api/connections/nobody").await;
    assert!(
        head.starts_with("http/1.1 404 ") && body.contains("there is no connection 'nobody'"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_seconds_of_a_connection_are_columns_of_one_length() {
    let watched = Watched::start("").await;
    watched.call("/messages").await;
    let history = loop {
        let history = watched.json("/api/history?connection=acme-prod").await;
        if sum(&history["interactive"]) > 0 {
            break history;
        }
    };
    assert_eq!((sum(&history["interactive"]), sum(&history["bulk"])), (1, 0));
    assert_eq!((&history["connection"], &history["step_ms"]), (&"acme-prod".into(), &1000.into()));
    let length = history["limit"].as_array().unwrap().len();
    let columns = history.as_object().unwrap().values().filter_map(Value::as_array);
    assert_eq!(
        columns.map(|column| (column.len(), length)).filter(|(one, all)| one == all).count(),
        9
    );
    let (head, _) = watched.get("/api/history").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_says_by_operation_how_many_calls_it_saved() {
    let watched = Watched::start("[cache]\non = [\"brands.list\"]\n").await;
    for _ in 0..4 {
        watched.call("/brands").await;
    }
    let cache = watched.json("/api/cache").await;
    assert_eq!(
        (&cache["saved_calls"], &cache["reads"], &cache["hit_rate"]),
        (&3.into(), &4.into(), &0.75.into())
    );
    let row = &cache["operations"][0];
    assert_eq!(
        (&row["operation"], &row["hits"], &row["misses"]),
        (&"brands.list".into(), &3.into(), &1.into())
    );
    assert!(cache["bytes"].as_u64() > Some(0) && cache["capacity"] == 64 << 20, "{cache}");
    let acme = loop {
        let acme = watched.json("/api/overview").await["connections"][0].clone();
        if acme["rates"]["saved"].as_f64() > Some(0.0) {
            break acme;
        }
    };
    assert_eq!(acme["slots"]["resting"], 1, "one call was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_hosts_are_told_with_their_answers_and_the_tokens_with_their_state() {
    let watched = Watched::start("").await;
    watched.call("/messages").await;
    let vendor = watched.json("/api/vendor").await;
    let host = &vendor["hosts"][0];
    assert_eq!(host["breaker"], "closed");
    assert_eq!(host["sockets"], json!({"open":1,"busy":0}));
    assert_eq!((&host["statuses"]["2xx"], &host["statuses"]["429"]), (&1.into(), &0.into()));
    assert!(host["latency_ms"]["p50"].as_u64() >= Some(1), "{host}");
    let of = |vendor: &Value| vendor["tokens"][0].clone();
    let acme = of(&vendor);
    assert_eq!((&acme["connection"], &acme["state"]), (&"acme-prod".into(), &"ok".into()));
    let source = acme["source"].as_str().unwrap().to_owned();
    let path = source.strip_prefix("file '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
    std::fs::remove_file(path).unwrap();
    while of(&watched.json("/api/vendor").await)["state"] != "unreadable" {}
    std::fs::write(path, "another-token").unwrap();
    while of(&watched.json("/api/vendor").await)["changed_at_ms"].is_null() {}
    assert_eq!(of(&watched.json("/api/vendor").await)["state"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_told_with_what_is_in_no_file_yet_as_json_and_as_csv() {
    let dir = std::env::temp_dir().join(format!("tollgate-live-{}", RandomId::new()));
    let watched = Watched::start(&format!("[state]\ndir = '{}'\n", dir.display())).await;
    watched.call("/messages").await;
    watched.call("/messages").await;
    let calls = |usage: &Value| usage["days"][0]["rows"][0]["calls"].clone();
    let before = watched.json("/api/usage?days=1").await;
    let row = &before["days"][0]["rows"][0];
    assert_eq!(
        (&row["tenant"], &row["app"], &row["calls"]),
        (&"acme".into(), &"acme".into(), &2.into())
    );
    watched.gateway.state().write_usage().await;
    assert_eq!(calls(&watched.json("/api/usage").await), 2, "each is told once");
    watched.call("/messages").await;
    assert_eq!(calls(&watched.json("/api/usage").await), 3, "in the file and in no file");
    let (head, body) = watched.get("/api/usage?format=csv").await;
    assert!(head.contains("content-type: text/csv"), "{head}");
    assert!(body.starts_with("day,tenant,app,connection,calls,"), "{body}");
    assert!(body.lines().nth(1).unwrap().contains(",acme,acme,acme-prod,3,"), "{body}");
    for wrong in ["days=0", "days=63", "format=xml", "day=1"] {
        let (head, _) = watched.get(&format!("/api/usage?{wrong}")).await;
        assert!(head.starts_with("http/1.1 400 "), "{wrong}: {head}");
    }
    std::fs::remove_dir_all(dir).unwrap();
    let (head, body) = Watched::start("").await.get("/api/usage").await;
    assert!(head.starts_with("http/1.1 404 ") && body.contains("no state folder"), "{body}");
}

/// A secret, or what could be tried against one, in the answer of any view.
#[tokio::test(flavor = "multi_thread")]
async fn no_view_tells_a_token_a_key_or_a_digest() {
    let password = std::env::temp_dir().join(format!("tollgate-field-{}", RandomId::new()));
    std::fs::write(&password, "canary-of-the-collector").unwrap();
    let traces = format!(
        "[traces]\nendpoint = \"http://127.0.0.1:9\"\nheaders = {{ authorization = {{ file = '{}' }} }}\n",
        password.display()
    );
    let watched = Watched::start(&traces).await;
    watched.call("/messages").await;
    let digests = watched.setup.text.match_indices("sha256 = \"").map(|(at, found)| {
        let digest = &watched.setup.text[at + found.len()..][..64];
        assert!(digest.bytes().all(|digit| digit.is_ascii_hexdigit()));
        digest.to_owned()
    });
    let mut canaries: Vec<String> = digests.collect();
    assert_eq!(canaries.len(), 3);
    canaries.extend([token("acme"), token("umbrella"), "canary-of-the-collector".into()]);
    canaries.extend([watched.setup.acme.clone(), watched.key.clone()]);
    for path in [
        "configuration",
        "overview",
        "connections",
        "connections/acme-prod",
        "vendor",
        "cache",
        "history?connection=acme-prod",
        "calls",
        "calls/under-way",
    ] {
        let (head, body) = watched.get(&format!("/api/{path}")).await;
        assert!(head.starts_with("http/1.1 200 "), "{path}: {head} {body}");
        for canary in &canaries {
            assert!(!body.contains(canary.as_str()), "{path} tells {canary}");
        }
    }
    let configuration = watched.json("/api/configuration").await;
    assert_eq!(configuration["settings"]["quota"]["calls"], 100);
    let app = &configuration["settings"]["tenant"][0]["app"][0];
    assert_eq!(app["keys"], json!([{"id":"acme","expires":null}]), "{app}");
    std::fs::remove_file(password).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_within_a_month_is_told() {
    let soon = tollgate::clock::wall() + std::time::Duration::from_secs(20 * 24 * 3600);
    let mut watched = Watched::start("").await;
    let text = watched.setup.text.replacen(
        "keys = [{ id = \"acme\",",
        &format!("keys = [{{ id = \"acme\", expires = \"{}\",", tollgate::clock::rfc3339(soon)),
        1,
    );
    let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    watched.gateway.reload(&config).unwrap();
    let told = &watched.json("/api/overview").await["expiring"];
    assert_eq!(told[0]["what"], "key 'acme' of acme/acme");
    assert_eq!(told[1], Value::Null, "the others never expire");
    assert_eq!(&watched.json("/api/configuration").await["expiring"], told);
}

/// The program: only there a file is read again.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_reload_is_told_with_its_problems() {
    let (_courier, vendor) = courier().await;
    let new = tollgate::identity::NewKey::generate(&"ops1".to_owned().try_into().unwrap());
    let head = format!(
        "{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n[admin]\nlisten = \"127.0.0.1:0\"\nkeys = [{{ id = \"ops1\", sha256 = \"{}\" }}]\n",
        new.sha256
    );
    let setup = Setup::new(&head);
    let mut process = Process::start(&setup);
    let admin = process.line("listening");
    let admin = admin["addr"].as_str().unwrap().parse().unwrap();
    let configuration = async || -> Value {
        let request = format!(
            "GET /api/configuration HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nx-api-key: {}\r\n\r\n",
            new.text
        );
        let answer = crate::rig::raw(admin, request.as_bytes(), "").await;
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let told = configuration().await;
    assert_eq!(
        (&told["file"], &told["last_reload"]),
        (&process.file.display().to_string().into(), &Value::Null)
    );
    process.configure(&setup.text.replace("calls = 100000", "callz = 1"));
    process.signal("HUP");
    process.line("configuration not reloaded; the old one stays");
    let told = configuration().await;
    assert_eq!(told["last_reload"]["outcome"], "refused");
    let problem = told["last_reload"]["problems"][0].as_str().unwrap();
    assert!(problem.contains(".toml:") && problem.contains("callz"), "{problem}");
    process.configure(&setup.text.replace("calls = 100000", "calls = 70000"));
    process.signal("HUP");
    process.line("configuration reloaded");
    let told = configuration().await;
    assert_eq!(told["last_reload"]["outcome"], "done");
    assert_eq!(told["settings"]["quota"]["calls"], 70_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_found_by_connection_operation_and_code() {
    let watched = Watched::start("").await;
    let first = watched.call("/messages").await;
    let other = watched.call("/lists").await;
    let found = async |query: &str| -> Vec<String> {
        let calls = watched.json(&format!("/api/calls?{query}")).await;
        let calls = calls["calls"].as_array().unwrap();
        calls.iter().map(|call| call["call_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("operation=messages.list").await, std::slice::from_ref(&first));
    assert_eq!(found("connection=acme-prod&code=ok").await, [other, first]);
    assert!(found("connection=umbrella-prod").await.is_empty());
    assert!(found("code=vendor-down").await.is_empty());
    assert!(found("refused=1").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_at_courier_is_under_way_with_its_app() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    let watched = Watched::before(vendor, "", "[quota]\ncalls = 5\n").await;
    let (data, key) = (watched.gateway.data, watched.setup.acme.clone());
    let call = tokio::spawn(async move {
        let mut client = Client::h1(TcpStream::connect(data).await.unwrap()).await;
        client.send("GET", "/messages", &key, Vec::new()).await
    });
    // The vendor reads, and does not answer.
    let (mut socket, _) = port.accept().await.unwrap();
    assert!(socket.read(&mut [0; 1]).await.unwrap() > 0);
    let now = watched.json("/api/calls/under-way").await;
    let open = &now["calls"][0];
    assert_eq!((&open["connection"], &open["app"]), (&"acme-prod".into(), &"acme".into()));
    assert_eq!((&open["operation"], &open["tenant"]), (&"messages.list".into(), &"acme".into()));
    assert_eq!((&open["state"], &open["caller"]), (&"at-courier".into(), &true.into()));
    assert_eq!(now["calls"][1], Value::Null);
    let vendor = watched.json("/api/vendor").await;
    assert_eq!(vendor["hosts"][0]["sockets"], json!({"open":1,"busy":1}));
    let slot = watched.json("/api/connections/acme-prod").await["slots"][0].clone();
    assert_eq!(
        (&slot["state"], &slot["app"], &slot["free_in_ms"]),
        (&"in-use".into(), &"acme".into(), &Value::Null)
    );
    call.abort();
}
