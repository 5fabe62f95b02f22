//! Reloads under load: whatever a file changes, the vendor never sees a second quota, and nobody who
//! waits is sent away. Everything is counted by the simulator.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};
use tollgate::identity::NewKey;
use tollgate::ids::{KeyId, RandomId};

use crate::support::{Stack, request};

/// A tenant with connections, as text that tests change.
struct Shop {
    /// What stands before the tenant.
    head: String,
    tenant: String,
    /// Name, token file and further keys of each connection.
    connections: Vec<(String, PathBuf, String)>,
    key: NewKey,
    /// Further keys of the app.
    app: String,
}

fn scratch(contents: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tollgate-reload-{}", RandomId::new()));
    std::fs::write(&path, contents).unwrap();
    path
}

impl Shop {
    /// One connection, `main`, of 10 calls in 10 s, whose calls wait as long as they have to.
    fn new() -> Self {
        let head = "[server]\ndeadline = \"600s\"\n[quota]\ncalls = 10\nwindow = \"10s\"\nmax_wait = \"500s\"\ndepth = 1000\napp_depth = 1000\n";
        Self {
            head: head.into(),
            tenant: "acme".into(),
            connections: vec![("main".into(), scratch("token-main"), String::new())],
            key: NewKey::generate(&KeyId::try_from("acme".to_owned()).unwrap()),
            app: String::new(),
        }
    }

    fn add(&mut self, name: &str, more: &str) {
        self.connections.push((name.into(), scratch(&format!("token-{name}")), more.into()));
    }

    /// Puts `rows` on top of the catalogue.
    fn catalog(&mut self, rows: &str) {
        let file = scratch(&format!("extends = \"courier\"\n{rows}"));
        self.head += &format!("[vendor]\ncatalog = '{}'\n", file.display());
    }

    fn text(&self) -> String {
        let mut text = format!("{}[[tenant]]\nid = \"{}\"\n", self.head, self.tenant);
        for (name, token, more) in &self.connections {
            text += &format!(
                "[[tenant.connection]]\nid = \"{name}\"\ntoken = {{ file = '{}' }}\n{more}",
                token.display()
            );
        }
        let names: Vec<&String> = self.connections.iter().map(|(name, ..)| name).collect();
        text + &format!(
            "[[tenant.app]]\nid = \"app\"\nconnections = {names:?}\nkeys = [{{ id = \"acme\", sha256 = \"{}\" }}]\n{}",
            self.key.sha256, self.app
        )
    }

    fn stack(&self) -> Stack {
        let mut options = simulator::Options { limits: Vec::new(), ..Default::default() };
        options.counters.window_ms = 10_000;
        Stack::of_text(&self.text(), simulator::Server::new(options)).unwrap()
    }

    /// Calls that begin now, through the pipeline of now; their statuses.
    fn calls(&self, stack: &Stack, count: usize, target: &str) -> Vec<JoinHandle<u16>> {
        let call = |_| {
            let (method, target) = target.split_once(' ').unwrap();
            let body = if method == "GET" { "" } else { "{}" };
            let call = request(method, target, &self.key.text, body);
            let pipeline = stack.pipeline.clone();
            tokio::spawn(async move { pipeline.answer(call).await.status().as_u16() })
        };
        (0..count).map(call).collect()
    }

    /// How many calls could start now.
    async fn room(&self, stack: &Stack) -> u64 {
        let pipeline = &stack.pipeline;
        let me = request("GET", "/.tollgate/me", &self.key.text, "");
        let body = pipeline.answer(me).await.into_body();
        let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        let me: serde_json::Value = serde_json::from_slice(&body).unwrap();
        me["connections"][0]["room"].as_u64().unwrap_or_else(|| panic!("{me}"))
    }
}

/// The most calls of `token` in any 10 s.
fn most(stack: &Stack, token: &str, operation: Option<&str>) -> f64 {
    let now = stack.courier.now();
    stack.courier.with(|simulator| simulator.largest(now, token, operation)).worst()
}

async fn all_good(calls: Vec<JoinHandle<u16>>, what: &str) {
    for status in join_all(calls).await {
        let status = status.unwrap();
        assert!((200..300).contains(&status), "{what}: {status}");
    }
}

type Change = (&'static str, fn(&mut Shop));

const ROW: &str = "[[operation]]\nid = \"x.dear\"\ngroup = \"messages\"\nmethod = \"GET\"\npath = \"/dear\"\naccess = \"read\"\npools = { connection = 2 }\n";
const POOL: &str = "[[pool]]\nid = \"new\"\ncalls = 5\nwindow = \"10s\"\n";

/// Each of them made a second quota once, or could.
const CHANGES: [Change; 12] = [
    ("nothing", |_| {}),
    ("a row with a new price", |shop| shop.catalog(ROW)),
    ("a pool and a row that pays it", |shop| {
        shop.catalog(&format!("{POOL}{}", ROW.replace("connection = 2", "new = 1")));
    }),
    ("a second connection", |shop| shop.add("second", "")),
    ("a second connection before the first", |shop| {
        shop.add("second", "");
        shop.connections.swap(0, 1);
        shop.app = "weight = 2\n".into();
    }),
    ("a workspace", |shop| shop.connections[0].2 = "workspace = \"w\"\n".into()),
    ("a workspace for two", |shop| {
        shop.connections[0].2 = "workspace = \"w\"\n".into();
        shop.add("second", "workspace = \"w\"\n");
    }),
    ("another name of the connection", |shop| shop.connections[0].0 = "renamed".into()),
    ("another name of the tenant", |shop| shop.tenant = "umbrella".into()),
    ("other names of all", |shop| {
        shop.tenant = "umbrella".into();
        shop.connections[0].0 = "renamed".into();
        shop.connections[0].2 = "workspace = \"w\"\n".into();
    }),
    ("another place of the token", |shop| shop.connections[0].1 = scratch("token-main")),
    ("a higher burst and other waits", |shop| {
        shop.head =
            shop.head.replace("\ndepth = 1000\n", "\ndepth = 1001\nburst = 10\nbulk_floor = 1\n");
    }),
];

#[tokio::test(start_paused = true)]
async fn no_change_of_the_file_makes_a_second_quota() {
    for (what, change) in CHANGES {
        let mut shop = Shop::new();
        let mut stack = shop.stack();
        all_good(shop.calls(&stack, 10, "GET /messages"), what).await;
        // These wait through the reload, others come after it, and all have their turn.
        let mut waiting = shop.calls(&stack, 15, "GET /messages");
        sleep(Duration::from_secs(1)).await;
        change(&mut shop);
        stack.reload(&shop.text()).unwrap();
        if shop.connections[0].0 != "second" {
            waiting.extend(shop.calls(&stack, 15, "GET /messages"));
        }
        all_good(waiting, what).await;
        let most = most(&stack, "token-main", None);
        assert!(most <= 10.0, "{what}: {most} in one window");
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_may_follow_every_other_while_calls_wait() {
    for first in CHANGES {
        for second in CHANGES {
            let what = format!("{}, then {}", first.0, second.0);
            let mut shop = Shop::new();
            let mut stack = shop.stack();
            let mut waiting = shop.calls(&stack, 15, "GET /messages");
            for (_, change) in [first, second] {
                sleep(Duration::from_secs(1)).await;
                shop = Shop { key: shop.key, ..Shop::new() };
                change(&mut shop);
                stack.reload(&shop.text()).unwrap();
                if shop.connections[0].0 != "second" {
                    waiting.extend(shop.calls(&stack, 8, "GET /messages"));
                }
            }
            all_good(waiting, &what).await;
            let most = most(&stack, "token-main", None);
            assert!(most <= 10.0, "{what}: {most} in one window");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_removed_comes_back_with_its_slots() {
    let mut shop = Shop::new();
    shop.add("second", "");
    let mut stack = shop.stack();
    let whole = shop.text();
    all_good(shop.calls(&stack, 10, "GET /messages"), "first").await;
    let main = shop.connections.remove(0);
    stack.reload(&shop.text()).unwrap();
    sleep(Duration::from_secs(4)).await;
    shop.connections.insert(0, main);
    stack.reload(&shop.text()).unwrap();
    assert_eq!(shop.room(&stack).await, 0, "they rest");
    advance(Duration::from_millis(6_100)).await;
    assert_eq!(shop.room(&stack).await, 10);
    assert_eq!(whole, shop.text());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_replaced_keeps_the_slots_of_its_connection() {
    let mut shop = Shop::new();
    let mut stack = shop.stack();
    all_good(shop.calls(&stack, 10, "GET /messages"), "first").await;
    std::fs::write(&shop.connections[0].1, "token-next").unwrap();
    stack.reload(&shop.text()).unwrap();
    assert_eq!(shop.room(&stack).await, 0);
    // Under another name by its new token, and by the one before.
    shop.connections[0].0 = "renamed".into();
    stack.reload(&shop.text()).unwrap();
    assert_eq!(shop.room(&stack).await, 0);
    shop.connections[0].0 = "again".into();
    std::fs::write(&shop.connections[0].1, "token-main").unwrap();
    stack.reload(&shop.text()).unwrap();
    assert_eq!(shop.room(&stack).await, 0);
}

#[tokio::test(start_paused = true)]
async fn slots_follow_a_token_that_changed_between_reloads() {
    let mut shop = Shop::new();
    let mut stack = shop.stack();
    all_good(shop.calls(&stack, 8, "GET /messages"), "first").await;
    std::fs::write(&shop.connections[0].1, "token-next").unwrap();
    let answer = Some(simulator::Answer::Credential { status: 401 });
    let effect = simulator::Effect { answer, ..Default::default() };
    let when = simulator::When { times: Some(1), ..Default::default() };
    let fault = simulator::Fault { id: None, when, effect };
    stack.courier.with(|simulator| simulator.faults().add(fault));
    // Refused with the old token, good with the new one: two slots.
    all_good(shop.calls(&stack, 1, "GET /messages"), "after the change").await;
    shop.connections[0].0 = "renamed".into();
    stack.reload(&shop.text()).unwrap();
    assert_eq!(shop.room(&stack).await, 0);
}

/// Nobody saw the new token before the name changed: the file is what is left of the connection.
#[tokio::test(start_paused = true)]
async fn slots_follow_where_the_token_stands_when_it_and_the_name_are_others() {
    let mut shop = Shop::new();
    let mut stack = shop.stack();
    all_good(shop.calls(&stack, 8, "GET /messages"), "first").await;
    std::fs::write(&shop.connections[0].1, "token-next").unwrap();
    shop.connections[0].0 = "renamed".into();
    stack.reload(&shop.text()).unwrap();
    assert_eq!(shop.room(&stack).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_under_the_name_of_another_begins_with_its_rests() {
    let mut shop = Shop::new();
    let mut stack = shop.stack();
    all_good(shop.calls(&stack, 7, "GET /messages"), "first").await;
    // The token lives on under another name; who came under the old one is not known.
    shop.connections[0].0 = "old".into();
    shop.connections.insert(0, ("main".into(), scratch("token-other"), String::new()));
    stack.reload(&shop.text()).unwrap();
    assert_eq!(shop.room(&stack).await, 3);
}

/// A catalogue in which `GET /narrow` pays `pool`.
fn narrow(pool: &str) -> String {
    format!(
        "[[pool]]\nid = \"{pool}\"\ncalls = 3\nwindow = \"10s\"\n{}",
        ROW.replace("x.dear", "messages.list").replace("/dear", "/messages").replace(
            "pools = { connection = 2 }",
            &format!("pools = {{ connection = 1, {pool} = 1 }}")
        )
    )
}

#[tokio::test(start_paused = true)]
async fn a_pool_under_another_name_or_workspace_is_no_second_pool() {
    let changes: [Change; 4] = [
        ("the pool is renamed", |shop| {
            shop.head = Shop::new().head;
            shop.catalog(&narrow("other"));
        }),
        ("the workspace is named", |shop| shop.connections[0].2 = "workspace = \"w\"\n".into()),
        ("the workspace is shared", |shop| {
            shop.connections[0].2 = "workspace = \"w\"\n".into();
            shop.add("second", "workspace = \"w\"\n");
        }),
        ("pool and workspace are renamed", |shop| {
            shop.head = Shop::new().head;
            shop.catalog(&narrow("other"));
            shop.connections[0].2 = "workspace = \"w\"\n".into();
        }),
    ];
    for (what, change) in changes {
        let mut shop = Shop::new();
        shop.catalog(&narrow("pool"));
        let mut stack = shop.stack();
        all_good(shop.calls(&stack, 3, "GET /messages"), what).await;
        // As many may wait for a pool as one window of it drains.
        let mut waiting = shop.calls(&stack, 1, "GET /messages");
        sleep(Duration::from_secs(1)).await;
        change(&mut shop);
        stack.reload(&shop.text()).unwrap();
        waiting.extend(shop.calls(&stack, 2, "GET /messages"));
        all_good(waiting, what).await;
        let most = most(&stack, "token-main", None);
        assert!(most <= 3.0, "{what}: {most} in one window");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_an_operation_did_not_pay_before_counts_what_it_did() {
    let mut shop = Shop::new();
    let mut stack = shop.stack();
    all_good(shop.calls(&stack, 8, "GET /messages"), "before").await;
    shop.catalog(&narrow("pool"));
    stack.reload(&shop.text()).unwrap();
    let calls = shop.calls(&stack, 1, "GET /messages");
    let start = tokio::time::Instant::now();
    all_good(calls, "after").await;
    assert!(start.elapsed() >= Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_removed_has_its_waiting_calls_answered() {
    let mut shop = Shop::new();
    let mut stack = shop.stack();
    let waiting = shop.calls(&stack, 15, "GET /messages");
    sleep(Duration::from_secs(1)).await;
    let text = shop.text().replace("id = \"app\"", "id = \"successor\"");
    stack.reload(&text).unwrap();
    shop.app = String::new();
    all_good(waiting, "the app is another one").await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_moves_to_another_tenant_keeps_its_slots_or_is_refused() {
    let mut shop = Shop::new();
    shop.connections[0].2 = "workspace = \"w\"\n".into();
    let mut stack = shop.stack();
    all_good(shop.calls(&stack, 10, "GET /messages"), "first").await;
    let mut other =
        Shop { key: NewKey::generate(&KeyId::try_from("k2".to_owned()).unwrap()), ..Shop::new() };
    (other.head, other.tenant) = (String::new(), "other".into());
    other.connections = vec![("theirs".into(), scratch("token-theirs"), String::new())];
    let tenants = |shop: &Shop, other: &Shop| {
        let second = other.text().replace("id = \"acme\", sha256", "id = \"k2\", sha256");
        format!("{}{second}", shop.text())
    };
    stack.reload(&tenants(&shop, &other)).unwrap();
    // Alone: its slots go with it.
    let moved = shop.connections.remove(0);
    shop.add("new", "");
    other.connections.insert(0, moved);
    stack.reload(&tenants(&shop, &other)).unwrap();
    assert_eq!(other.room(&stack).await, 0);
    // Into a workspace whose pools are counted elsewhere: nothing is changed.
    other.connections[1].2 = "workspace = \"w\"\n".into();
    let refused = stack.reload(&tenants(&shop, &other)).unwrap_err();
    assert!(refused.contains("restart the gateway"), "{refused}");
    assert_eq!(other.room(&stack).await, 0);
}

#[tokio::test(start_paused = true)]
async fn apps_come_and_go_by_the_thousands_and_each_has_its_number() {
    let shop = Shop::new();
    let mut stack = shop.stack();
    let apps = |round: usize| -> String {
        let app = |n| {
            format!(
                "[[tenant.app]]\nid = \"r{round}a{n}\"\nconnections = [\"main\"]\nkeys = [{{ id = \"r{round}a{n}\", sha256 = \"{}\" }}]\n",
                "0".repeat(64)
            )
        };
        (0..9_000).map(app).collect()
    };
    // A pipeline of each configuration lives on: none of their apps may lose its number.
    let mut kept = vec![stack.pipeline.clone()];
    let mut refused = 0;
    for round in 0..6 {
        match stack.reload(&format!("{}{}", shop.text(), apps(round))) {
            Ok(()) => kept.push(stack.pipeline.clone()),
            Err(reason) => {
                assert!(reason.contains("too many other apps"), "{reason}");
                refused += 1;
            }
        }
        all_good(shop.calls(&stack, 1, "GET /messages"), "an app of all").await;
    }
    assert_eq!((kept.len(), refused), (5, 2));
    kept.clear();
    stack.reload(&format!("{}{}", shop.text(), apps(7))).unwrap();
}
