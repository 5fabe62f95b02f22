//! The layer on a clock that stands still.

mod head;

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode, Version};
use http_body_util::BodyExt;
use tokio::time::{sleep, timeout};
use tower::Layer;
use tower::util::BoxCloneSyncService;

use super::*;
use crate::call;
use crate::call::testing::{pieces, reply};
use crate::clock::Instant;
use crate::error::Outcome;
use crate::proof::Acceptance;
use crate::record::Marks;

/// What a record said when its last holder let it go.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    /// The client's own, or the call's.
    id: String,
    method: Method,
    version: Option<Version>,
    sdk: Option<String>,
    bytes_out: u64,
    complete: bool,
    broken: bool,
    took: Duration,
}

/// Keeps the lines, counts the openings and says what its client got.
#[derive(Debug, Default)]
struct Seen {
    opened: Mutex<u32>,
    lines: Mutex<Vec<Line>>,
    heard: Mutex<Vec<&'static str>>,
}

impl Observer for Seen {
    fn opened(&self, _: &Arc<Record>) {
        *self.opened.lock().unwrap() += 1;
    }

    fn finished(&self, record: &Record, marks: &Marks) {
        // A call that panics ends here, too.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(Line {
            id: marks.request.id.as_deref().map_or(record.call_id.to_string(), str::to_owned),
            method: marks.request.method.clone(),
            version: marks.request.version,
            sdk: marks.request.sdk.as_ref().map(|sdk| sdk.name().to_owned()),
            bytes_out: marks.bytes_out,
            complete: marks.complete,
            broken: marks.broken,
            took: marks.ended() - record.started,
        });
    }
}

impl Acceptance for Seen {
    fn accepted(&self) {
        self.heard.lock().unwrap().push("accepted");
    }

    fn doubted(&self) {
        self.heard.lock().unwrap().push("doubted");
    }
}

impl Seen {
    fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    /// The only line; its octets, and whether they were all and whether they broke off.
    fn end(&self) -> (u64, bool, bool) {
        let lines = self.lines();
        assert_eq!((lines.len(), *self.opened.lock().unwrap()), (1, 1));
        (lines[0].bytes_out, lines[0].complete, lines[0].broken)
    }

    fn heard(&self) -> Vec<&'static str> {
        self.heard.lock().unwrap().clone()
    }
}

type Below = BoxCloneSyncService<Opened, Reply, Infallible>;

/// The layer on what answers in this way, and who hears of it.
fn world<F>(
    answer: impl Fn(Opened) -> F + Clone + Send + Sync + 'static,
) -> (Staged<OpenRecord, Below>, Arc<Seen>)
where
    F: Future<Output = Reply> + Send + 'static,
{
    let seen = Arc::new(Seen::default());
    let below = tower::service_fn(move |opened| {
        let answer = answer(opened);
        async { Ok(answer.await) }
    });
    let below = BoxCloneSyncService::new(below);
    (OpenRecord::layer(seen.clone()).layer(below), seen)
}

/// A request whose client is `seen` to get its answer or not.
fn arrival(seen: &Arc<Seen>) -> Arrival {
    let proof = Arc::new(SendProof::default());
    proof.tells(seen.clone());
    Arrival { request: Request::new(call::empty()), proof }
}

/// The body of the answer to a request, and whoever hears of it.
async fn body_of<F>(
    answer: impl Fn(Opened) -> F + Clone + Send + Sync + 'static,
) -> (Recorded, Arc<Seen>)
where
    F: Future<Output = Reply> + Send + 'static,
{
    let (mut layer, seen) = world(answer);
    let Ok(response) = layer.call(arrival(&seen)).await;
    (response.into_body(), seen)
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_read_whole_is_one_complete_line_and_accepted() {
    let (body, seen) = body_of(async |_| Reply::new(pieces([Some("ab"), Some("cde")]))).await;
    assert!(seen.lines().is_empty(), "its body is still to come");
    assert_eq!(body.collect().await.unwrap().to_bytes(), "abcde");
    assert_eq!(seen.end(), (5, true, false));
    assert_eq!(seen.heard(), ["accepted"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_piece_is_complete_though_nobody_asks_for_more() {
    let (mut body, seen) = body_of(async |_| reply(200, "it")).await;
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(seen.end(), (2, true, false));
    assert_eq!(seen.heard(), ["accepted"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_is_complete_though_nobody_reads_it() {
    let (body, seen) = body_of(async |_| Reply::new(call::empty())).await;
    drop(body);
    assert_eq!(seen.end(), (0, true, false));
    assert_eq!(seen.heard(), ["accepted"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_good_one_is_complete_and_neither_accepted_nor_in_doubt() {
    for status in [302, 404, 429, 500] {
        let (body, seen) = body_of(move |_| async move { reply(status, "no") }).await;
        body.collect().await.unwrap();
        assert_eq!(seen.end(), (2, true, false), "{status}");
        assert!(seen.heard().is_empty(), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_a_broken_line_and_in_doubt() {
    let (body, seen) = body_of(async |_| Reply::new(pieces([Some("ab"), None]))).await;
    assert!(body.collect().await.is_err());
    assert_eq!(seen.end(), (2, false, true));
    assert_eq!(seen.heard(), ["doubted"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_within_the_answer_got_a_part_of_it_and_is_in_doubt() {
    let (mut body, seen) = body_of(async |_| Reply::new(pieces([Some("ab"), Some("c")]))).await;
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(seen.end(), (2, false, false));
    assert_eq!(seen.heard(), ["doubted"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_can_tell_whether_a_client_that_shut_its_side_read_its_answer() {
    for body in ["it", ""] {
        let answer = move |opened: Opened| async move {
            opened.proof.leaves();
            reply(200, body)
        };
        let (body, seen) = body_of(answer).await;
        body.collect().await.unwrap();
        assert!(!seen.end().1, "not known to be complete");
        assert_eq!(seen.heard(), ["doubted"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_its_middle_is_one_line_of_the_time_that_it_took() {
    let (mut layer, seen) = world(async |_: Opened| std::future::pending().await);
    let call = layer.call(arrival(&seen));
    assert!(timeout(Duration::from_secs(7), call).await.is_err());
    assert_eq!(seen.end(), (0, false, false));
    assert_eq!(seen.lines()[0].took.as_secs(), 7);
    assert_eq!(seen.heard(), ["doubted"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_polled_is_one_line_too() {
    let (mut layer, seen) = world(async |_: Opened| reply(200, "it"));
    drop(layer.call(arrival(&seen)));
    assert_eq!(seen.end(), (0, false, false));
    assert_eq!(seen.heard(), ["doubted"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_below_is_one_line_and_in_doubt() {
    let (mut layer, seen) = world(async |_: Opened| panic!("below"));
    let call = layer.call(arrival(&seen));
    assert!(tokio::spawn(call).await.err().unwrap().is_panic());
    assert_eq!(seen.end(), (0, false, false));
    assert_eq!(seen.heard(), ["doubted"]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_below_without_its_client_is_in_the_same_line_when_it_is_over() {
    let (mut layer, seen) = world(async |opened: Opened| {
        tokio::spawn(async move {
            sleep(Duration::from_secs(9)).await;
            opened.record.mark(|marks| marks.bytes_out = 9);
        });
        std::future::pending().await
    });
    let began = Instant::now();
    assert!(timeout(Duration::from_secs(1), layer.call(arrival(&seen))).await.is_err());
    assert_eq!(seen.heard(), ["doubted"], "at once");
    assert!(seen.lines().is_empty());
    sleep(Duration::from_secs(9)).await;
    assert_eq!(seen.end(), (9, false, false));
    assert!(seen.lines()[0].took < began.elapsed());
    assert_eq!(seen.lines()[0].took.as_secs(), 9);
}

/// Says that it is let go of.
struct Guard(Arc<Seen>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.heard.lock().unwrap().push("below");
    }
}

#[tokio::test(start_paused = true)]
async fn what_lies_below_a_client_that_leaves_ends_before_the_client_is_in_doubt() {
    let held: Arc<Mutex<Option<Guard>>> = Arc::default();
    let holds = held.clone();
    let (mut layer, seen) = world(move |_: Opened| {
        let guard = holds.lock().unwrap().take();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    *held.lock().unwrap() = Some(Guard(seen.clone()));
    {
        let mut call = pin!(layer.call(arrival(&seen)));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
    }
    assert_eq!(seen.heard(), ["below", "doubted"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_broke_off_stays_broken_when_its_body_is_asked_again() {
    let (mut body, seen) = body_of(async |_| Reply::new(pieces([Some("ab"), None]))).await;
    body.frame().await.unwrap().unwrap();
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none(), "nothing follows");
    drop(body);
    assert_eq!(seen.end(), (2, false, true));
}
