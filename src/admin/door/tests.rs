//! The door without a port.

use std::time::Duration;

use super::*;
use crate::identity::{Key, NewKey};
use crate::ids::KeyId;

struct World {
    door: Door,
    rules: Arc<ArcSwap<DoorRules>>,
    key: String,
}

fn key(id: &str) -> (Key, String) {
    let id = KeyId::try_from(id.to_owned()).unwrap();
    let new = NewKey::generate(&id);
    (Key { id, sha256: new.sha256, expires: None }, new.text)
}

fn rules(keys: impl IntoIterator<Item = Key>) -> DoorRules {
    let mut all = Keys::default();
    keys.into_iter().for_each(|key| assert!(all.add(key, Rights::Change)));
    let apps = Arc::new(Keys::default());
    DoorRules { keys: Arc::new(all), apps, hosts: Vec::new(), clients: Vec::new(), secure: false }
}

fn world(address: &str, change: impl FnOnce(&mut DoorRules)) -> World {
    let (entry, key) = key("op");
    let mut rules = rules([entry]);
    change(&mut rules);
    let rules = Arc::new(ArcSwap::from_pointee(rules));
    World {
        door: Door::new(address.parse().unwrap(), rules.clone(), RevokedKeys::default()),
        rules,
        key,
    }
}

fn request(method: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/api/version");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

impl World {
    fn code(&self, method: &str, fields: &[(&str, &str)]) -> Option<Code> {
        let request = request(method, fields);
        let passed = self.door.is_meant(&request).map_err(NotLetIn::of);
        passed.and_then(|()| self.door.pass(&request)).err().map(|refused| refused.error.code)
    }

    /// A session's cookie, and the whole field that set it.
    fn session(&self, peer: &str, fields: &[(&str, &str)]) -> (String, String) {
        let headers = request("POST", fields).headers().clone();
        let peer = peer.parse().unwrap();
        let Ok((_, field)) = self.door.log_in(self.key.as_bytes(), peer, &headers) else {
            panic!("the key is right");
        };
        let field = field.to_str().unwrap().to_owned();
        (field.split(';').next().unwrap().to_owned(), field)
    }
}

#[test]
fn only_this_machine_and_the_addresses_and_names_of_the_port_are_its_hosts() {
    let named = |rules: &mut DoorRules| rules.hosts = vec!["ops.example".into()];
    let (own, lan) = (world("127.0.0.1:9091", |_| ()), world("192.0.2.7:9091", named));
    let any = world("0.0.0.0:9091", |_| ());
    for (host, at) in [
        ("localhost:1", [true, true, true]),
        ("LOCALHOST", [true, true, true]),
        ("127.0.0.1:9091", [true, true, true]),
        ("[::1]:9091", [true, true, true]),
        ("192.0.2.7", [false, true, true]),
        ("192.0.2.8", [false, false, true]),
        ("OPS.example:9091", [false, true, false]),
        ("evil.example", [false, false, false]),
        ("ops.example.evil", [false, false, false]),
        ("localhost.evil.example", [false, false, false]),
        ("127.0.0.1.evil.example", [false, false, false]),
        ("", [false, false, false]),
    ] {
        let seen = [&own, &lan, &any]
            .map(|world| world.code("GET", &[("host", host)]) != Some(Code::OriginRefused));
        assert_eq!(seen, at, "{host}");
    }
    let key = ("x-api-key", own.key.as_str());
    assert_eq!(own.code("GET", &[key]), Some(Code::OriginRefused), "no host");
    let twice = [("host", "localhost"), ("host", "localhost")];
    assert_eq!(own.code("GET", &twice), Some(Code::OriginRefused));
    assert_eq!(own.code("GET", &[("host", "localhost"), key]), None);
}

#[test]
fn a_page_from_elsewhere_may_not_ask_with_any_key() {
    let world = world("127.0.0.1:9091", |_| ());
    let asked = |world: &World, origin: &str| {
        let key = ("x-api-key", world.key.as_str());
        world.code("GET", &[("host", "localhost:9091"), ("origin", origin), key])
    };
    assert_eq!(asked(&world, "http://localhost:9091"), None);
    for origin in ["http://evil.example", "http://localhost:80", "null", "localhost:9091", ""] {
        assert_eq!(asked(&world, origin), Some(Code::OriginRefused), "{origin}");
    }
    let coded = self::world("127.0.0.1:9091", |rules| rules.secure = true);
    assert_eq!(asked(&coded, "https://localhost:9091"), None);
    assert_eq!(asked(&coded, "http://localhost:9091"), Some(Code::OriginRefused), "not over TLS");
}

#[test]
fn only_the_networks_that_are_listed_may_connect() {
    let listed = |text: &str| Network::try_from(text.to_owned()).unwrap();
    let world = world("127.0.0.1:9091", |_| ());
    let lets_in = |peer: &str| world.door.lets_in(peer.parse().unwrap());
    assert!(lets_in("192.0.2.1"), "no list");
    let (entry, _) = key("op");
    let clients = vec![listed("127.0.0.1"), listed("10.0.0.0/8")];
    world.rules.store(Arc::new(DoorRules { clients, ..rules([entry]) }));
    assert!(lets_in("127.0.0.1") && lets_in("10.1.2.3") && lets_in("::ffff:10.1.2.3"));
    assert!(!lets_in("192.0.2.1") && !lets_in("::1"));
}

#[tokio::test(start_paused = true)]
async fn a_session_looks_without_an_origin_and_changes_only_with_its_own() {
    let world = world("127.0.0.1:9091", |_| ());
    let (cookie, field) = world.session("127.0.0.1", &[]);
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
        assert!(field.contains(part), "{part}");
    }
    assert!(!field.contains("Secure"), "plain HTTP");
    let at = [("host", "localhost:9091"), ("cookie", cookie.as_str())];
    let from = |origin| [at[0], at[1], ("origin", origin)];
    assert_eq!(world.code("GET", &at), None);
    assert_eq!(world.code("POST", &at), Some(Code::OriginRefused));
    assert_eq!(world.code("DELETE", &at), Some(Code::OriginRefused));
    assert_eq!(world.code("POST", &from("http://localhost:9091")), None);
    for method in ["GET", "POST"] {
        let foreign = from("http://localhost:3000");
        assert_eq!(world.code(method, &foreign), Some(Code::OriginRefused), "{method}");
    }
    let key = [("host", "localhost:9091"), ("x-api-key", world.key.as_str())];
    assert_eq!(world.code("POST", &key), None, "a program names no origin");
    let wrong = [at[0], at[1], ("x-api-key", "tg_op_x")];
    assert_eq!(world.code("GET", &wrong), Some(Code::Unauthenticated), "the key goes first");
}

#[tokio::test(start_paused = true)]
async fn the_cookie_stays_on_tls_where_the_page_came_over_it() {
    let plain = world("127.0.0.1:9091", |_| ());
    let behind = plain.session("127.0.0.1", &[("origin", "https://ops.example")]).1;
    assert!(behind.ends_with("; Secure"));
    let coded = world("127.0.0.1:9091", |rules| rules.secure = true);
    assert!(coded.session("127.0.0.1", &[]).1.ends_with("; Secure"));
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_key_its_time_or_a_logout() {
    let world = world("127.0.0.1:9091", |_| ());
    let [gone, left, last] = [(); 3].map(|()| world.session("127.0.0.1", &[]).0);
    let at = |cookie: &str| request("GET", &[("host", "localhost:9091"), ("cookie", cookie)]);
    let passes = |cookie: &str| world.door.pass(&at(cookie)).ok();
    let operator = passes(&left).unwrap();
    assert!(world.door.still_welcomes(&operator));
    assert!(world.door.log_out(&operator).1);
    assert!(!world.door.still_welcomes(&operator) && passes(&left).is_none());
    let (operator, same) = (passes(&gone).unwrap(), world.rules.load_full());
    // Another key under the same id.
    world.rules.store(Arc::new(rules([key("op").0])));
    assert!(!world.door.still_welcomes(&operator) && passes(&gone).is_none());
    world.rules.store(same);
    assert!(passes(&gone).is_none(), "it does not come back with the key");
    assert!(passes(&last).is_some(), "nobody used it meanwhile");
    tokio::time::advance(Duration::from_secs(12 * 3600)).await;
    assert!(passes(&last).is_none());
}

#[tokio::test(start_paused = true)]
async fn after_ten_wrong_logins_even_the_right_key_has_to_wait() {
    let world = world("127.0.0.1:9091", |_| ());
    let log_in = |key: &str, peer: &str| {
        let logged_in = world.door.log_in(key.as_bytes(), peer.parse().unwrap(), &HeaderMap::new());
        logged_in.err().map(|refused| refused.error)
    };
    for _ in 0..10 {
        let code = log_in("tg_op_wrong", "192.0.2.1").map(|error| error.code);
        assert_eq!(code, Some(Code::Unauthenticated));
    }
    let refused = log_in(&world.key, "192.0.2.1").unwrap();
    assert_eq!(refused.code, Code::LoginsLimited);
    assert_eq!(refused.headers[0].1, "60");
    assert!(log_in(&world.key, "192.0.2.2").is_none(), "another address");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(log_in(&world.key, "192.0.2.1").is_none());
}
