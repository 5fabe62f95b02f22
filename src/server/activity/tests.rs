//! The watch of a connection, with a paused clock.

use tokio::time::advance;

use super::*;

fn activity() -> Arc<Activity> {
    Arc::new(Activity::new(&super::super::tests::limits()))
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_asks_is_closed_after_the_time_for_a_head() {
    let activity = activity();
    advance(Duration::from_millis(9_999)).await;
    assert_eq!(activity.verdict(), ActivityVerdict::Fine);
    advance(Duration::from_millis(1)).await;
    assert!(matches!(activity.verdict(), ActivityVerdict::Slow(_)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_rests_as_long_as_it_may_after_its_last_answer() {
    let activity = activity();
    let first = Answering::begin(activity.clone(), None);
    let second = Answering::begin(activity.clone(), None);
    drop(first);
    advance(Duration::from_secs(100)).await;
    assert_eq!(activity.verdict(), ActivityVerdict::Fine, "one answer is still being made");
    drop(second);
    advance(Duration::from_secs(59)).await;
    assert_eq!(activity.verdict(), ActivityVerdict::Fine);
    advance(Duration::from_secs(1)).await;
    assert_eq!(activity.verdict(), ActivityVerdict::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_served_from_the_last_octet_of_a_request_on() {
    let activity = activity();
    let opened = Instant::now();
    assert_eq!(activity.doing(), Doing::Rests(opened));
    advance(Duration::from_secs(1)).await;
    let begun = Instant::now();
    let first = Answering::begin(activity.clone(), None);
    let body = first.arriving();
    assert_eq!(activity.doing(), Doing::Arrives(begun));
    let second = Answering::begin(activity.clone(), None);
    assert_eq!(activity.doing(), Doing::Served, "the second has no body");
    advance(Duration::from_secs(1)).await;
    drop(second);
    assert_eq!(activity.doing(), Doing::Arrives(Instant::now()), "and is answered");
    drop(body);
    assert_eq!(activity.doing(), Doing::Served);
    drop(first);
    assert_eq!(activity.doing(), Doing::Rests(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_closes_the_connection() {
    let activity = activity();
    let answering = Answering::begin(activity.clone(), None);
    answering.gave();
    advance(Duration::from_secs(29)).await;
    answering.asked();
    answering.gave();
    advance(Duration::from_secs(29)).await;
    assert_eq!(activity.verdict(), ActivityVerdict::Fine);
    advance(Duration::from_secs(1)).await;
    assert!(matches!(activity.verdict(), ActivityVerdict::Slow(_)));
}

#[tokio::test(start_paused = true)]
async fn a_look_is_never_later_than_a_limit_that_is_set_after_it_was_planned() {
    let activity = activity();
    let answering = Answering::begin(activity.clone(), None);
    let planned = activity.next_look();
    answering.gave();
    assert!(planned <= activity.next_look());
    drop(answering);
    assert!(planned <= activity.next_look());
}
