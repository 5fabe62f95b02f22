//! Rows that go by the vendor's header fields alone: what is kept, for whom, and what is asked.

use std::time::Duration;

use futures_util::future::join_all;
use simulator::{Answer as Faulty, Effect, Latency};
use tokio::time::{advance, sleep};

use crate::cache::{get, inject, said, status, with};
use crate::support::{ALL, Answer, Setup, Stack, request};

/// `brands.list` goes by header fields.
pub(crate) fn setup() -> Setup {
    let row = "extends = \"courier\"\n[[operation]]\nid = \"brands.list\"\ngroup = \"brands\"\n\
               method = \"GET\"\npath = \"/brands\"\naccess = \"read\"\nreads = [\"brands\"]\n\
               freshness = \"headers\"\npools = { connection = 1 }\n";
    let name = format!("tollgate-test-{}", tollgate::ids::RandomId::new());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, row).unwrap();
    Setup::new(&format!("[vendor]\ncatalog = '{}'\n", file.display()))
}

/// The vendor gives every answer this `Cache-Control` and a tag.
fn stack(setup: &Setup, cache_control: &str) -> Stack {
    let mut options = simulator::Options::default();
    options.switches.cache_control = Some(cache_control.into());
    Stack::with(setup, options)
}

fn fields(fields: &[(&str, &str)]) -> Effect {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Effect { headers: fields.iter().map(owned).collect(), ..Effect::default() }
}

fn slow(mut effect: Effect) -> Effect {
    effect.latency = Some(Latency::Fixed { ms: 200.0 });
    effect
}

/// Fields of what arrived last.
fn arrived_last(stack: &Stack, name: &str) -> Option<String> {
    let last = stack.arrived().pop().unwrap();
    last.headers.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn collapsed(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| said(answer).contains("collapsed")).count()
}

#[tokio::test(start_paused = true)]
async fn the_vendor_says_for_how_long_and_is_asked_with_its_validators() {
    let setup = setup();
    let stack = Stack::new(&setup);
    stack.call(get("/brands", &setup.acme)).await;
    let second = stack.call(get("/brands", &setup.acme)).await;
    assert_eq!(said(&second), "fwd=uri-miss; detail=no-lifetime", "no default time");

    let stack = self::stack(&setup, "max-age=10");
    let read = || stack.call(get("/brands", &setup.acme));
    let first = read().await;
    assert_eq!(said(&first), "fwd=uri-miss; stored");
    advance(Duration::from_secs(4)).await;
    let hit = read().await;
    assert!(said(&hit).starts_with("hit") && hit.header("age") == "4", "{:?}", hit.headers);
    for name in ["etag", "date", "content-type"] {
        assert_eq!(hit.header(name), first.header(name));
    }
    assert_eq!(hit.body, first.body);
    advance(Duration::from_secs(10)).await;
    let again = read().await;
    assert_eq!((said(&again), again.status.as_u16()), ("fwd=stale; fwd-status=304; stored", 200));
    assert_eq!((&again.body, again.header("age")), (&first.body, "0"));
    assert!(said(&read().await).starts_with("hit"));
    assert_eq!(stack.arrived().len(), 2);
    stack.call(request("POST", "/brands", &setup.acme, "{\"name\":\"b\"}")).await;
    let changed = read().await;
    assert!(said(&changed).starts_with("fwd=uri-miss") && changed.body != first.body);
    stack.call(with(get("/brands", &setup.acme), "x-own", "1")).await;
    assert_eq!(arrived_last(&stack, "x-own").as_deref(), Some("1"), "fields pass");
}

#[tokio::test(start_paused = true)]
async fn each_value_of_the_fields_that_vary_names_has_its_copy_and_a_write_ends_them_all() {
    let setup = setup();
    let stack = stack(&setup, "max-age=600");
    inject(&stack, "brands.list", None, fields(&[("vary", "X-Own, Accept")]));
    let ask = |own: &str| stack.call(with(get("/brands", &setup.acme), "x-own", own));
    for round in ["fwd=uri-miss; stored", "hit"] {
        for own in ["1", "2", "3"] {
            let answer = ask(own).await;
            assert!(said(&answer).starts_with(round), "{own}: {}", said(&answer));
        }
        let without = stack.call(get("/brands", &setup.acme)).await;
        assert!(said(&without).starts_with(round), "{}", said(&without));
    }
    assert_eq!(stack.arrived().len(), 4);
    let other = with(with(get("/brands", &setup.acme), "x-own", "1"), "x-else", "1");
    assert!(said(&stack.call(other).await).starts_with("hit"), "not named");
    stack.call(request("POST", "/brands", &setup.acme, "{\"name\":\"b\"}")).await;
    for own in ["1", "2", "3"] {
        assert_eq!(said(&ask(own).await), "fwd=uri-miss; detail=write-under-way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_says_how_long_it_lasts_is_not_asked_for_again() {
    let setup = setup();
    for number in [400, 500, 503] {
        let stack = stack(&setup, "no-store");
        let mut failure = status(number);
        failure.headers.insert("cache-control".into(), "max-age=30".into());
        failure.headers.insert("x-should-retry".into(), "false".into());
        inject(&stack, "brands.list", None, failure);
        let read = || stack.call(get("/brands", &setup.acme));
        assert_eq!(said(&read().await), "fwd=uri-miss; stored", "{number}");
        advance(Duration::from_secs(29)).await;
        let again = read().await;
        assert!(said(&again).starts_with("hit") && again.status.as_u16() == number, "{number}");
        assert_eq!(stack.arrived().len(), 1);
        advance(Duration::from_secs(2)).await;
        stack.courier.with(|simulator| simulator.faults().clear());
        assert_eq!(read().await.status.as_u16(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_why_no_copy_of_it_is_kept() {
    let setup = setup();
    let why = async |cache_control: &str, effect: Effect, ask: (&'static str, &str)| {
        let stack = stack(&setup, cache_control);
        inject(&stack, "brands.list", None, effect);
        let answer = stack.call(with(get("/brands", &setup.acme), ask.0, ask.1)).await;
        said(&answer).rsplit_once("detail=").map(|(_, why)| why.to_owned()).unwrap_or_default()
    };
    let (plain, nothing) = (Effect::default(), ("x-own", "1"));
    for (cache_control, reason) in [
        ("no-store", "no-store"),
        ("private", "private"),
        // What has a tag can be confirmed.
        ("no-cache", ""),
        ("max-age=60", ""),
    ] {
        assert_eq!(why(cache_control, plain.clone(), nothing).await, reason, "{cache_control}");
    }
    for (effect, reason) in [
        (fields(&[("vary", "*")]), "vary"),
        (fields(&[("set-cookie", "a=b")]), "set-cookie"),
        (status(429), "status"),
    ] {
        assert_eq!(why("max-age=60", effect, nothing).await, reason);
    }
    assert_eq!(why("max-age=60", plain.clone(), ("range", "bytes=0-1")).await, "range");
    assert_eq!(why("max-age=60", plain, ("cache-control", "no-store")).await, "client-no-store");
}

#[tokio::test(start_paused = true)]
async fn identical_requests_under_way_are_one_vendor_call_also_when_the_first_leaves() {
    let setup = setup();
    for leaves in [false, true] {
        let stack = stack(&setup, "max-age=600");
        inject(&stack, "brands.list", None, slow(Effect::default()));
        let first = tokio::spawn({
            let (pipeline, call) = (stack.pipeline.clone(), get("/brands", &setup.acme));
            async move { pipeline.answer(call).await.status().as_u16() }
        });
        sleep(Duration::from_millis(50)).await;
        let others = join_all((0..100).map(|_| stack.call(get("/brands", &setup.acme))));
        let others = async {
            if leaves {
                first.abort();
            }
            others.await
        };
        let answers = others.await;
        assert_eq!((collapsed(&answers), stack.arrived().len()), (100, 1), "leaves: {leaves}");
        assert!(answers.iter().all(|answer| answer.header("age") == "0"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_handed_round_to_those_alone_whom_it_fits() {
    let setup = setup();
    let stack = stack(&setup, "max-age=600");
    let round = async || {
        let ask = |own| stack.call(with(get("/brands", &setup.acme), "x-own", own));
        let before = stack.arrived().len();
        let answers = join_all((0..20).map(|n| ask(["1", "2"][n % 2]))).await;
        (collapsed(&answers), stack.arrived().len() - before)
    };
    inject(&stack, "brands.list", None, slow(fields(&[("vary", "x-own")])));
    assert_eq!(round().await, (18, 2), "who can't be given the first answer waits for another");
    stack.state.cache().purge_connection(&"acme-prod".parse().unwrap());
    assert_eq!(round().await, (18, 2), "now it is known");
    // What a shared cache may not keep is for its caller alone.
    for said in ["private, max-age=600", "no-store", "no-cache", "max-age=0"] {
        let stack = self::stack(&setup, said);
        inject(&stack, "brands.list", None, slow(Effect::default()));
        let answers = join_all((0..5).map(|_| stack.call(get("/brands", &setup.acme)))).await;
        assert_eq!((collapsed(&answers), stack.arrived().len()), (0, 5), "{said}");
    }
    let stack = self::stack(&setup, "max-age=600");
    inject(&stack, "brands.list", None, slow(fields(&[("set-cookie", "a=b")])));
    let answers = join_all((0..5).map(|_| stack.call(get("/brands", &setup.acme)))).await;
    assert_eq!((collapsed(&answers), stack.arrived().len()), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_more_neither_joins_nor_is_joined() {
    let setup = setup();
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
        ("cache-control", "max-age=0"),
        ("cache-control", "min-fresh=700"),
        ("if-none-match", "\"x\""),
    ] {
        for first in [false, true] {
            let stack = stack(&setup, "max-age=600");
            inject(&stack, "brands.list", None, slow(Effect::default()));
            let ask = async |fussy| {
                let call = get("/brands", &setup.acme);
                stack.call(if fussy { with(call, name, value) } else { call }).await
            };
            let (one, two) = tokio::join!(ask(first), ask(!first));
            assert_eq!((collapsed(&[one, two]), stack.arrived().len()), (0, 2), "{value} {first}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_a_write_is_neither_kept_nor_joined_after_it() {
    let setup = setup();
    let stack = stack(&setup, "max-age=600");
    inject(&stack, "brands.list", Some(1), slow(Effect::default()));
    let read = || stack.call(get("/brands", &setup.acme));
    let (old, new) = tokio::join!(read(), async {
        sleep(Duration::from_millis(100)).await;
        let write = request("POST", "/brands", &setup.acme, "{\"name\":\"b\"}");
        assert!(stack.call(write).await.status.is_success());
        read().await
    });
    assert_ne!(old.body, new.body);
    advance(Duration::from_secs(4)).await;
    assert_eq!(said(&read().await), "fwd=uri-miss; stored", "the old answer was not kept");
}

#[tokio::test(start_paused = true)]
async fn a_stale_copy_is_confirmed_once_for_all_who_ask() {
    let setup = setup();
    let stack = stack(&setup, "max-age=10");
    inject(&stack, "brands.list", None, slow(Effect::default()));
    let first = stack.call(get("/brands", &setup.acme)).await;
    advance(Duration::from_secs(11)).await;
    let tag = first.header("etag").to_owned();
    // One of them has it already, one has another version.
    let (answers, has, older) = tokio::join!(
        join_all((0..50).map(|_| stack.call(get("/brands", &setup.acme)))),
        stack.call(with(get("/brands", &setup.acme), "if-none-match", &tag)),
        stack.call(with(get("/brands", &setup.acme), "if-none-match", "\"older\"")),
    );
    assert_eq!((collapsed(&answers), stack.arrived().len()), (49, 2));
    assert_eq!(arrived_last(&stack, "if-none-match"), Some(tag));
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == first.body));
    assert_eq!((has.status.as_u16(), has.body.len()), (304, 0));
    assert_eq!((older.status.as_u16(), &older.body), (200, &first.body));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_a_fresh_copy_is_told_so_without_a_call() {
    let setup = setup();
    let stack = stack(&setup, "max-age=600");
    let first = stack.call(get("/brands", &setup.acme)).await;
    let tag = first.header("etag").to_owned();
    let told = stack.call(with(get("/brands", &setup.acme), "if-none-match", &tag)).await;
    assert_eq!((told.status.as_u16(), told.header("etag"), told.body.len()), (304, &*tag, 0));
    assert_eq!((told.header("content-length"), told.header("content-type")), ("", ""));
    assert!(said(&told).starts_with("hit"));
    let other = stack.call(with(get("/brands", &setup.acme), "if-none-match", "\"x\"")).await;
    assert_eq!((other.status.as_u16(), &other.body), (200, &first.body));
    assert_eq!(stack.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_304_that_speaks_of_another_version_reaches_nobody_who_did_not_ask_for_it() {
    let setup = setup();
    let stack = stack(&setup, "max-age=10");
    let first = stack.call(get("/brands", &setup.acme)).await;
    advance(Duration::from_secs(11)).await;
    let mut strange = fields(&[("etag", "\"another\"")]);
    strange.answer = Some(Faulty::Status {
        status: 304,
        body: Some(String::new()),
        content_type: None,
        retry_after: None,
    });
    inject(&stack, "brands.list", Some(1), strange);
    let again = stack.call(get("/brands", &setup.acme)).await;
    assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
    assert_eq!((stack.arrived().len(), arrived_last(&stack, "if-none-match")), (3, None));
    assert_eq!(said(&again), "fwd=stale; stored");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_the_version_which_replaces_a_stale_copy_is_told_so() {
    let setup = setup();
    let answer = Faulty::Status {
        status: 200,
        body: Some("{}".into()),
        content_type: None,
        retry_after: None,
    };
    let new = Effect { answer: Some(answer), ..Effect::default() };
    let other = stack(&setup, "max-age=10");
    inject(&other, "brands.list", None, new.clone());
    let tag = other.call(get("/brands", &setup.acme)).await.header("etag").to_owned();

    let stack = stack(&setup, "max-age=10");
    stack.call(get("/brands", &setup.acme)).await;
    advance(Duration::from_secs(11)).await;
    inject(&stack, "brands.list", None, new);
    let told = stack.call(with(get("/brands", &setup.acme), "if-none-match", &tag)).await;
    assert_eq!((told.status.as_u16(), said(&told)), (304, "fwd=stale; stored"));
    assert_ne!(arrived_last(&stack, "if-none-match"), Some(tag), "the copy's was sent");
    assert_eq!(stack.call(get("/brands", &setup.acme)).await.body, "{}");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_asks_not_to_keep_is_not_kept_unless_its_app_has_no_say() {
    let mut setup = setup();
    let has_no_say = format!("{ALL}cache_control = \"ignore\"\n");
    let at = setup.text.rfind(ALL).unwrap();
    setup.text.replace_range(at..at + ALL.len(), &has_no_say);
    let stack = stack(&setup, "max-age=600");
    let ask = |key: &str, wish: &str| stack.call(with(get("/brands", key), "cache-control", wish));
    assert_eq!(said(&ask(&setup.acme, "No-Store").await), "fwd=request; detail=client-no-store");
    assert_eq!(ask(&setup.acme, "only-if-cached").await.code(), "not-cached");
    assert_eq!(said(&ask(&setup.acme, "max-age=5").await), "fwd=request; stored");
    assert!(said(&ask(&setup.acme, "min-fresh=600").await).starts_with("hit"));
    advance(Duration::from_secs(1)).await;
    assert!(
        said(&ask(&setup.acme, "min-fresh=600").await).starts_with("fwd=stale; fwd-status=304")
    );
    assert_eq!(said(&ask(&setup.umbrella, "no-store").await), "fwd=uri-miss; stored");
    assert!(said(&ask(&setup.umbrella, "no-cache").await).starts_with("hit"));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_its_callers_alone_and_leaves_no_copy_behind() {
    let setup = setup();
    let stack = stack(&setup, "max-age=600");
    inject(&stack, "brands.list", Some(1), slow(status(400)));
    let answers = join_all((0..5).map(|_| stack.call(get("/brands", &setup.acme)))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 400]);
}
