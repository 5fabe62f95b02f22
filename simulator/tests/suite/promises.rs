//! What a gateway relies on besides the data.
//!
//! Partitions, credentials, sizes, late effects, switches.

use serde_json::json;
use simulator::{
    AuditTarget, Credential, Environment, Micros, Options, RefusalBody, Release, Reply, Request,
    Simulator, Switches, Unknown, UnknownQuery,
};

const NOW: Micros = Micros::ZERO;

fn sim() -> Simulator {
    Simulator::new(Options::seeded(3))
}

fn switched(change: impl FnOnce(&mut Switches)) -> Simulator {
    let mut sim = sim();
    change(&mut sim.options().switches);
    sim
}

fn put_list(sim: &mut Simulator, now: Micros) -> Reply {
    sim.handle(now, Request::new("PUT", "/lists/a").token("t").json(&json!({ "name": "A" })))
}

#[test]
fn a_late_effect_shows_only_after_its_time_and_writes_meanwhile_are_not_lost() {
    let mut sim = sim();
    let name = |sim: &mut Simulator, ms| {
        sim.handle(Micros::from_millis(ms), Request::new("GET", "/lists/a").token("t")).value()
                ["name"]
                .clone()
    };
    put_list(&mut sim, NOW);
    let late = Request::new("PUT", "/lists/a")
        .token("t")
        .json(&json!({ "name": "B" }))
        .header("x-simulator-fault", r#"{"late_effect_ms":500}"#);
    assert_eq!(sim.handle(NOW, late).status, 204);
    assert_eq!((name(&mut sim, 499), name(&mut sim, 500)), (json!("A"), json!("B")));
}

/// Five tokens of one workspace, `acme`.
fn acme() -> Simulator {
    let mut options = Options::default();
    for (token, environment, release, mock) in [
        ("p1", Environment::Production, Release::Published, false),
        ("p2", Environment::Production, Release::Published, false),
        ("draft", Environment::Production, Release::Draft, false),
        ("mock", Environment::Production, Release::Published, true),
        ("test", Environment::Test, Release::Published, false),
    ] {
        let credential = Credential { workspace: "acme".into(), environment, release, mock };
        options.tokens.insert(token.into(), credential);
    }
    Simulator::new(options)
}

#[test]
fn tokens_of_one_workspace_see_each_other_but_test_and_production_do_not() {
    let mut sim = acme();
    let list = Request::new("PUT", "/lists/a").json(&json!({ "name": "A" }));
    sim.handle(NOW, list.token("p1"));
    let read = |sim: &mut Simulator, token: &str, target: &str| {
        sim.handle(NOW, Request::new("GET", target).token(token)).status
    };
    assert_eq!([read(&mut sim, "p2", "/lists/a"), read(&mut sim, "test", "/lists/a")], [200, 404]);
    let brand = Request::new("POST", "/brands").json(&json!({ "id": "d", "name": "Draft" }));
    sim.handle(NOW, brand.token("draft"));
    assert_eq!(
        [read(&mut sim, "draft", "/brands/d"), read(&mut sim, "p1", "/brands/d")],
        [200, 404]
    );
}

#[test]
fn a_mock_key_sends_nothing_but_simulates_it() {
    let mut sim = acme();
    let ask = json!({ "message": { "to": { "email": "a@example.com" }, "content": { "title": "a", "body": "b" } } });
    let sent = sim.handle(NOW, Request::new("POST", "/send").token("mock").json(&ask)).value();
    let target = format!("/messages/{}", sent["requestId"].as_str().unwrap());
    let later = sim.handle(Micros::from_secs(9), Request::new("GET", &target).token("p1"));
    assert_eq!(later.value()["status"], "SIMULATED");
}

#[test]
fn credentials_are_refused_in_both_ways() {
    let mut options = Options::default();
    options.rejected_tokens.insert("revoked".into());
    let mut sim = Simulator::new(options);
    let bare = Request::new("GET", "/brands");
    let two = bare.clone().token("a").token("b");
    for request in [
        bare.clone(),
        bare.clone().token("revoked"),
        bare.clone().token("tg_k_x"),
        bare.clone().header("authorization", "Basic YTpi"),
        two,
    ] {
        let reply = sim.handle(NOW, request);
        assert_eq!(
            (reply.status, reply.value()["type"].as_str()),
            (403, Some("authentication_error"))
        );
    }
    sim.options().switches.auth_status = 401;
    assert_eq!(sim.handle(NOW, bare.clone()).value()["message"], "Unauthorized");
    sim.options().switches.auth_statuses = [("brands.list".into(), 403)].into();
    assert_eq!(sim.handle(NOW, bare).status, 403);
    assert_eq!(sim.handle(NOW, Request::new("GET", "/lists")).status, 401);
}

#[test]
fn six_megabytes_pass_and_one_byte_more_is_413() {
    let mut sim = sim();
    let text = |n: usize| Request::new("PUT", "/translations/d/it").token("t").bytes(vec![b'#'; n]);
    assert_eq!(sim.handle(NOW, text(6 * 1024 * 1024)).status, 204);
    let refused = sim.handle(NOW, text(6 * 1024 * 1024 + 1));
    assert_eq!(
        (refused.status, refused.value()["type"].as_str()),
        (413, Some("invalid_request_error"))
    );
    sim.options().switches.too_large = RefusalBody::Html;
    assert_eq!(sim.handle(NOW, text(6 * 1024 * 1024 + 1)).field("content-type"), Some("text/html"));
}

#[test]
fn the_other_switches_do_what_they_say() {
    let read =
        |sim: &mut Simulator, target: &str| sim.handle(NOW, Request::new("GET", target).token("t"));
    assert_eq!(
        read(&mut switched(|s| s.unknown_profile = Unknown::Empty), "/profiles/x").status,
        200
    );
    assert_eq!(
        read(&mut switched(|s| s.unknown_generic = Unknown::NotFound), "/tenants/x").status,
        404
    );
    let mut strict = switched(|s| s.unknown_query = UnknownQuery::Reject);
    assert_eq!(
        [
            read(&mut strict, "/brands?cursor=").status,
            read(&mut strict, "/brands?idempotency=1").status
        ],
        [200, 400]
    );
    assert_eq!(read(&mut sim(), "/brands?idempotency=1").status, 200);
    let mut bare = switched(|s| s.patch_bare_array = false);
    assert_eq!(
        bare.handle(NOW, Request::new("PATCH", "/profiles/x").token("t").json(&json!([]))).status,
        400
    );
    let mut named = switched(|s| s.request_id_header = Some("X-Amzn-RequestId".into()));
    assert!(read(&mut named, "/brands").field("x-amzn-requestid").unwrap().starts_with("1-"));
    let mut archived = switched(|s| s.statuses = [("profiles.delete".into(), 200)].into());
    archived.handle(
        NOW,
        Request::new("POST", "/profiles/x").token("t").json(&json!({ "profile": {} })),
    );
    assert_eq!(
        archived.handle(NOW, Request::new("DELETE", "/profiles/x").token("t")).value(),
        json!({ "status": "SUCCESS" })
    );
}

#[test]
fn a_limit_beyond_the_largest_counts_as_the_largest_or_is_refused() {
    let read = |sim: &mut Simulator, limit: &str| {
        let target = format!("/notifications?limit={limit}");
        let reply = sim.handle(NOW, Request::new("GET", &target).token("t"));
        (reply.status, reply.value()["results"].as_array().map(Vec::len))
    };
    let mut capped = switched(|s| s.max_limit = 1);
    assert_eq!(read(&mut capped, "2"), (200, Some(1)));
    capped.options().switches.reject_large_limit = true;
    assert_eq!([read(&mut capped, "1").0, read(&mut capped, "2").0], [200, 400]);
    for nonsense in ["0", "-1", "ten", ""] {
        assert_eq!(read(&mut capped, nonsense).0, 400, "{nonsense}");
    }
}

#[test]
fn the_target_of_an_audit_event_is_a_text_or_an_object() {
    let mut sim = sim();
    let target = |sim: &mut Simulator| {
        put_list(sim, NOW);
        sim.handle(NOW, Request::new("GET", "/audit-events").token("t")).value()["results"][0]["target"].clone()
    };
    assert_eq!(target(&mut sim), "list/a");
    sim.options().switches.audit_target = AuditTarget::Object;
    assert_eq!(target(&mut sim), json!({ "id": "list/a", "email": "api@example.com" }));
}

#[test]
fn the_listing_of_automations_refuses_without_a_type() {
    let bad = sim().handle(NOW, Request::new("GET", "/automations?cursor=no").token("t"));
    assert_eq!((bad.status, bad.value()), (400, json!({ "message": "Invalid cursor format" })));
}

#[test]
fn validators_are_a_switch_and_a_known_one_gives_304() {
    let mut sim = switched(|s| s.cache_control = Some("max-age=5".into()));
    let first = sim.handle(NOW, Request::new("GET", "/brands").token("t"));
    let tag = first.field("etag").unwrap().to_owned();
    assert_eq!(first.field("cache-control"), Some("max-age=5"));
    let second =
        sim.handle(NOW, Request::new("GET", "/brands").token("t").header("if-none-match", &tag));
    assert_eq!((second.status, second.body.len()), (304, 0));
    assert_eq!(
        Simulator::new(Options::default())
            .handle(NOW, Request::new("GET", "/brands").token("t"))
            .field("etag"),
        None
    );
}
