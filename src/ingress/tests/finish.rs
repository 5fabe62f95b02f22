//! What every answer has, whatever happens below.

use std::time::Duration;

use super::*;
use crate::call::{RateLimit, Throttled};
use crate::ingress::finish::Finish;
use crate::record::{Cached, KeyUse};

const SECOND: Duration = Duration::from_secs(1);

/// The answer to `asked` when this comes from below.
async fn finish(asked: Opened, below: impl Fn() -> Result + Send + Sync + 'static) -> Reply {
    let leaf = Leaf::new(move |_, _| now(below()));
    let Ok(reply) = Finish::layer().layer(leaf).call(asked).await;
    reply
}

fn asks(method: Method) -> Opened {
    opened(request(method, "/brands", &[]))
}

fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_error_becomes_a_problem_document_and_the_record_knows_it() {
    let asked = asks(Method::GET);
    let record = asked.record.clone();
    let reply = finish(asked, || {
        Err(Error::refused(Code::VendorTimeout, "silent").with_outcome(Outcome::Unknown))
    });
    let reply = reply.await;
    assert_eq!(reply.status(), 504);
    assert_eq!(field(&reply, "content-type"), Some("application/problem+json"));
    assert_eq!(field(&reply, "cache-control"), Some("no-store"));
    assert_eq!(field(&reply, "tollgate-outcome"), Some("unknown"));
    let proxy = "tollgate; error=http_response_timeout; details=\"vendor-timeout\"";
    assert_eq!(field(&reply, "proxy-status"), Some(proxy));
    let told = record.read(|marks| (marks.code, marks.outcome, marks.status.unwrap().as_u16()));
    assert_eq!(told, (Some(Code::VendorTimeout), Some(Outcome::Unknown), 504));
    let length = field(&reply, "content-length").unwrap().to_owned();
    let body = text(reply).await.unwrap();
    assert_eq!(length, body.len().to_string());
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["code"], "vendor-timeout");
    assert_eq!(document["detail"], "silent");
    assert_eq!(document["call_id"], record.call_id.to_string());
}

#[tokio::test(start_paused = true)]
async fn an_sdk_that_reads_plain_json_only_gets_it() {
    let mut asked = asks(Method::GET);
    asked.habits.reads_plain_json_only = true;
    let reply = finish(asked, || Err(Error::refused(Code::Stopping, "no"))).await;
    assert_eq!(field(&reply, "content-type"), Some("application/json"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_below_is_an_internal_error_that_knows_whether_the_call_was_sent() {
    for (sent, outcome) in [(false, "not-sent"), (true, "unknown")] {
        let leaf = Leaf::new(move |opened: Opened, _| {
            Box::pin(async move {
                if sent {
                    opened.proof.sending();
                }
                panic!("on purpose")
            })
        });
        let Ok(reply) = Finish::layer().layer(leaf).call(asks(Method::GET)).await;
        assert_eq!(reply.status(), 500);
        assert_eq!(field(&reply, "tollgate-outcome"), Some(outcome));
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_its_ids_and_its_time() {
    for below in [|| Ok(reply(200, "it")), || Err(Error::refused(Code::Stopping, "no"))] {
        let asked = asks(Method::GET);
        let id = asked.record.call_id.to_string();
        let reply = finish(asked, below).await;
        assert_eq!(field(&reply, "x-request-id"), Some("r1"));
        assert_eq!(field(&reply, "tollgate-call-id"), Some(id.as_str()));
        assert!(reply.headers().contains_key("server-timing"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_to_come_back_is_told_in_seconds_and_in_milliseconds_rounded_up() {
    let after = Duration::from_micros(1_500_001);
    let reply = finish(asks(Method::GET), move || {
        Err(Error::refused(Code::QueueFull, "full").with_retry_after(after))
    });
    let reply = reply.await;
    assert_eq!(field(&reply, "retry-after"), Some("2"));
    assert_eq!(field(&reply, "retry-after-ms"), Some("1501"));
}

#[tokio::test(start_paused = true)]
async fn who_heeds_no_more_than_a_minute_is_told_less_also_of_the_vendors_own_time() {
    let belows: [fn() -> Result; 2] = [
        || Err(Error::refused(Code::QueueFull, "full").with_retry_after(300 * SECOND)),
        || Ok(with(reply(429, ""), &[("retry-after", "300")])),
    ];
    for below in belows {
        let mut asked = asks(Method::GET);
        asked.habits.heeds_a_minute = true;
        let reply = finish(asked, below).await;
        let told: u64 = field(&reply, "retry-after-ms").unwrap().parse().unwrap();
        assert!((45_000..=60_000).contains(&told), "{told}");
        assert_eq!(field(&finish(asks(Method::GET), below).await, "retry-after"), Some("300"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_is_what_the_answer_holds() {
    let lie = || Ok(with(reply(200, "it"), &[("content-length", "5"), ("transfer-encoding", "x")]));
    let reply = finish(asks(Method::GET), lie).await;
    assert_eq!(field(&reply, "content-length"), Some("2"));
    assert_eq!(field(&reply, "transfer-encoding"), None);
    let twice =
        || Ok(with(super::reply(200, "it"), &[("content-length", "2"), ("content-length", "2")]));
    let reply = self::finish(asks(Method::GET), twice).await;
    assert_eq!(reply.headers().get_all("content-length").iter().count(), 1);
    for status in [204, 304] {
        let below = move || Ok(with(super::reply(status, ""), &[("content-length", "5")]));
        assert_eq!(field(&finish(asks(Method::GET), below).await, "content-length"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_head_tells_the_length_of_a_get_and_holds_nothing() {
    let empty = || Ok(with(Reply::new(call::empty()), &[("content-length", "5")]));
    let reply = finish(asks(Method::HEAD), empty).await;
    assert_eq!(field(&reply, "content-length"), Some("5"));
    let reply = finish(asks(Method::HEAD), || Ok(super::reply(200, "it"))).await;
    assert_eq!(field(&reply, "content-length"), Some("2"));
    assert_eq!(text(reply).await.unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn the_vendors_own_refusal_says_when_its_pool_opens_and_whose_status_it_is() {
    let reply = finish(asks(Method::GET), || {
        let mut reply = reply(429, "");
        let pause = Duration::from_millis(6001);
        let throttled = Throttled { pool: "connection".into(), pause, held: true };
        reply.facts_mut().throttled = Some(throttled);
        Ok(reply)
    });
    let reply = reply.await;
    assert_eq!(field(&reply, "retry-after"), Some("7"));
    assert_eq!(field(&reply, "proxy-status"), Some("tollgate; received-status=429"));
}

#[tokio::test(start_paused = true)]
async fn what_the_layers_noted_is_told() {
    let asked = asks(Method::GET);
    asked.notes.cached(Cached::Hit { age: 7 * SECOND, left: 60 * SECOND });
    let policy = HeaderValue::from_static("\"connection\";q=100;w=60");
    let limit = RateLimit { policy, pool: "connection".into(), left: 3, seconds: 44 };
    asked.notes.rate_limit(Some(limit));
    let nearer = || Ok(with(reply(200, "it"), &[("cache-status", "edge; hit")]));
    let reply = finish(asked, nearer).await;
    let caches: Vec<_> = reply.headers().get_all("cache-status").iter().collect();
    assert_eq!(caches, ["edge; hit", "tollgate; hit; ttl=60"]);
    assert_eq!(field(&reply, "age"), Some("7"));
    assert_eq!(field(&reply, "ratelimit"), Some("\"connection\";r=3;t=44"));
    assert_eq!(field(&reply, "ratelimit-policy"), Some("\"connection\";q=100;w=60"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_send_that_may_be_done_is_not_to_be_repeated_by_its_sdk() {
    let unknown = || Err(Error::refused(Code::VendorTimeout, "").with_outcome(Outcome::Unknown));
    let (post, get, given) = (Method::POST, Method::GET, Some(KeyUse::Given));
    type Below = fn() -> Result;
    let cases: [(&Method, Option<KeyUse>, Below, bool); 8] = [
        (&post, None, unknown, true),
        (&post, Some(KeyUse::Made), unknown, true),
        (&post, given, unknown, false),
        (&get, None, unknown, false),
        (&post, None, || Ok(reply(500, "")), true),
        (&post, None, || Ok(reply(429, "")), false),
        (&post, None, || Err(Error::refused(Code::QueueFull, "")), false),
        (&get, None, || Err(Error::refused(Code::NotCached, "")), true),
    ];
    for (at, (method, key, below, told)) in cases.into_iter().enumerate() {
        let asked = asks(method.clone());
        key.into_iter().for_each(|key| asked.notes.key(key));
        let reply = finish(asked, below).await;
        assert_eq!(field(&reply, "x-should-retry"), told.then_some("false"), "case {at}");
    }
}
