use proptest::prelude::*;

use super::*;

const A: Id = [1; 32];
const B: Id = [2; 32];

fn nothing() -> (Instant, Made) {
    let now = Instant::now();
    (now, Made::new(Vec::new(), now))
}

fn ticket(owner: u8, print: Id, key: MadeKey, count: u32) -> KeyTicket {
    KeyTicket { owner: [owner; 16], print, key: key.key, count }
}

/// Makes a call that is sent and over.
fn send(made: &mut Made, print: Id, count: u32, now: Instant) -> (MadeKey, KeyTicket) {
    let key = made.key(print, count, now);
    let ticket = ticket(1, print, key, count);
    made.sent(&ticket, now);
    made.release(&ticket, true);
    (key, ticket)
}

#[test]
fn a_retry_has_the_key_of_the_request_before_it() {
    let (now, mut made) = nothing();
    let (first, _) = send(&mut made, A, 0, now);
    let later = now + Duration::from_secs(100);
    let (retry, _) = send(&mut made, A, 1, later);
    assert_eq!((retry.key, retry.recognised), (first.key, true));
    let (third, _) = send(&mut made, A, 2, later + Duration::from_secs(100));
    assert_eq!((third.key, made.known.len()), (first.key, 1));
}

#[test]
fn what_does_not_follow_is_no_retry() {
    let (now, mut made) = nothing();
    let (first, _) = send(&mut made, A, 0, now);
    for (print, count, seconds) in [(A, 0, 0), (B, 1, 0), (A, 1, 121)] {
        let (other, _) = send(&mut made, print, count, now + Duration::from_secs(seconds));
        assert!(!other.recognised && other.key != first.key, "{count} {seconds}");
    }
}

#[test]
fn a_retry_that_was_lost_on_its_way_leaves_a_gap() {
    let (now, mut made) = nothing();
    let [one, two] = [0; 2].map(|count| send(&mut made, A, count, now).0);
    assert_eq!(made.key(A, 1, now).key, one.key);
    assert_eq!(made.key(A, 2, now).key, one.key, "one higher goes before a gap");
    assert_eq!(made.key(A, 2, now).key, two.key);
}

#[test]
fn of_several_the_oldest_that_was_not_accepted() {
    let (now, mut made) = nothing();
    let [one, two, three] = [0; 3].map(|count| send(&mut made, A, count, now));
    made.accepted(&one.1);
    assert_eq!(made.key(A, 1, now).key, two.0.key);
    assert_eq!(made.key(A, 1, now).key, three.0.key);
    // The answer may have been lost on the way to the client.
    assert_eq!(made.key(A, 1, now).key, one.0.key);
    // The answer to the request that the client gave up comes late. The retry still waits for its
    // own.
    assert_eq!(made.accepted(&one.1), None);
}

#[test]
fn a_retry_finds_the_call_that_still_waits() {
    let (now, mut made) = nothing();
    let first = made.key(A, 0, now);
    let retry = made.key(A, 1, now);
    assert_eq!((retry.key, retry.recognised), (first.key, true));
    // The first client has left the queue; the retry goes on.
    made.release(&ticket(1, A, first, 0), false);
    assert_eq!(made.key(A, 2, now).key, first.key);
}

#[test]
fn of_calls_that_were_not_sent_nothing_stays() {
    let (now, mut made) = nothing();
    let (kept, _) = send(&mut made, B, 0, now);
    let octets = made.octets();
    for n in 0..30_000 {
        let key = made.key(A, 0, now);
        let ticket = ticket(2, A, key, 0);
        if n % 2 == 0 {
            // It had its slot, but no socket.
            made.sent(&ticket, now);
        }
        made.release(&ticket, false);
    }
    assert_eq!((made.known.len(), made.octets(), made.rows.next), (1, octets, 2));
    assert_eq!(made.key(B, 1, now).key, kept.key);
}

#[test]
fn two_hundred_sends_a_second_are_known_for_two_minutes_beside_a_flood() {
    let (now, mut made) = nothing();
    let print = |owner: u8, n: u32| {
        let mut print = [owner; 32];
        print[..4].copy_from_slice(&n.to_be_bytes());
        print
    };
    let all = |made: &mut Made, owner: u8, sends: u32| {
        let mut first = None;
        for n in 0..sends {
            let key = made.key(print(owner, n), 0, now);
            let ticket = ticket(owner, print(owner, n), key, 0);
            assert!(made.sent(&ticket, now).is_some());
            made.release(&ticket, true);
            first = first.or(Some(key));
        }
        first.unwrap()
    };
    let first = all(&mut made, 1, 200 * 120);
    all(&mut made, 2, 150_000);
    let last = now + TIME.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(made.key(print(1, 0), 1, last).key, first.key);
    assert!(made.octets() <= CAPACITY);
    assert!(made.rows.next as usize <= ROWS, "rows are used again");
    made.key(A, 0, now + TIME);
    assert_eq!((made.known.len(), made.octets()), (2, ENTRY), "the retry's, and one that waits");
}

#[test]
fn each_change_is_written_once() {
    let (now, mut made) = nothing();
    let key = made.key(A, 0, now);
    let first = ticket(1, A, key, 0);
    let (row, written) = made.sent(&first, now).unwrap();
    assert_eq!((row, written.key, written.count, written.accepted), (0, key.key, 0, false));
    assert_eq!(made.sent(&first, now), None, "a further attempt of the same call");
    made.release(&first, true);
    let retry = ticket(1, A, made.key(A, 1, now), 1);
    let (row, written) = made.sent(&retry, now).unwrap();
    assert_eq!((row, written.key, written.count), (0, key.key, 1));
    let (row, written) = made.accepted(&retry).unwrap();
    assert_eq!((row, written.accepted), (0, true));
}

#[test]
fn without_a_count_an_equal_request_is_a_retry_while_the_one_before_is_in_doubt() {
    let (now, mut made) = nothing();
    let (first, ticket) = send(&mut made, A, UNCOUNTED, now);
    let (twin, _) = send(&mut made, A, UNCOUNTED, now);
    assert!(!twin.recognised && twin.key != first.key, "nothing is known to have failed");
    made.doubted(&ticket);
    let (retry, _) = send(&mut made, A, UNCOUNTED, now);
    assert_eq!((retry.key, retry.recognised), (first.key, true));
    assert!(!made.key(A, UNCOUNTED, now).recognised, "the retry is under way");
    // A good answer to the retry was handed over, so an equal request is a new one.
    made.accepted(&ticket);
    made.doubted(&ticket);
    assert!(!made.key(A, UNCOUNTED, now).recognised);
}

#[test]
fn a_failure_that_stays_is_given_again_for_two_minutes_and_no_longer() {
    let (now, mut made) = nothing();
    let (first, _) = send(&mut made, A, UNCOUNTED, now);
    for seconds in [0, 50, 100, 119] {
        made.doubted(&ticket(1, A, first, UNCOUNTED));
        let (retry, _) = send(&mut made, A, UNCOUNTED, now + Duration::from_secs(seconds));
        assert_eq!(retry.key, first.key, "{seconds}");
    }
    made.doubted(&ticket(1, A, first, UNCOUNTED));
    assert!(!made.key(A, UNCOUNTED, now + TIME).recognised);
}

#[test]
fn counted_and_uncounted_requests_are_no_retries_of_each_other() {
    let (now, mut made) = nothing();
    let (_, uncounted) = send(&mut made, A, UNCOUNTED, now);
    made.doubted(&uncounted);
    assert!(!made.key(A, 1, now).recognised);
    let (_, counted) = send(&mut made, B, 0, now);
    made.doubted(&counted);
    assert!(!made.key(B, UNCOUNTED, now).recognised);
}

#[test]
fn a_key_of_another_replica_is_known_from_its_first_call_here() {
    let (now, mut made) = nothing();
    let key = RandomId::new();
    assert_eq!(made.candidate(A, 1, now), None);
    made.adopt((A, 1), key, now);
    assert_eq!(made.candidate(A, 2, now), Some(key));
    assert_eq!(made.candidate(A, 1, now), None, "it is no retry of itself");
    let one = ticket(1, A, MadeKey { key, recognised: true }, 1);
    made.sent(&one, now);
    made.release(&one, true);
    made.accepted(&one);
    // Its answer may have been lost.
    assert_eq!(made.candidate(A, 2, now), Some(key));
    made.adopt((A, 2), key, now);
    assert_eq!((made.known.len(), made.waiting(A, 3, now).unwrap().key), (1, key));
}

#[test]
fn of_a_key_of_another_replica_that_was_not_sent_here_nothing_stays() {
    for count in [1, UNCOUNTED] {
        let (now, mut made) = nothing();
        let key = RandomId::new();
        made.adopt((A, count), key, now);
        made.adopt((A, count), key, now);
        let call = ticket(1, A, MadeKey { key, recognised: true }, count);
        made.release(&call, false);
        assert_eq!(made.known.len(), 1, "the other call is under way");
        made.release(&call, false);
        assert_eq!((made.known.len(), made.octets()), (0, 0));
    }
}

/// What a client does with one of three requests.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send { print: u8, count: u32, accepted: bool },
    Refuse { print: u8, count: u32 },
    Wait { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3_u8, 0..3_u32, any::<bool>()).prop_map(|(print, count, accepted)| Step::Send {
            print,
            count,
            accepted
        }),
        (0..3_u8, 0..3_u32).prop_map(|(print, count)| Step::Refuse { print, count }),
        (0..70_u64).prop_map(|seconds| Step::Wait { seconds }),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// A process that reads the rows knows what their writer knew.
    #[test]
    fn a_restart_changes_no_key(steps in steps(), print in 0..3_u8, count in 0..4_u32) {
        let (mut now, mut made) = nothing();
        let mut rows = std::collections::BTreeMap::new();
        for step in steps {
            now += Duration::from_micros(1);
            match step {
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
                Step::Refuse { print, count } => {
                    let key = made.key([print; 32], count, now);
                    let ticket = ticket(1, [print; 32], key, count);
                    // A refused retry moves its key on. That is written when a retry is sent.
                    if key.recognised {
                        rows.extend(made.sent(&ticket, now));
                    }
                    made.release(&ticket, false);
                }
                Step::Send { print, count, accepted } => {
                    let key = made.key([print; 32], count, now);
                    let ticket = ticket(1, [print; 32], key, count);
                    rows.extend(made.sent(&ticket, now));
                    if accepted {
                        rows.extend(made.accepted(&ticket));
                    }
                    made.release(&ticket, true);
                }
            }
        }
        let mut read = Made::new(rows.into_iter().collect(), now);
        let (known, after) = (made.key([print; 32], count, now), read.key([print; 32], count, now));
        prop_assert_eq!(known.recognised, after.recognised);
        prop_assert!(!known.recognised || known.key == after.key);
    }
}

/// What becomes of a send whose SDK counts nothing.
#[derive(Clone, Copy, Debug)]
enum End {
    Accepted,
    Failed,
    Refused,
    /// Its client left, and it is still under way.
    Left,
    /// It is still under way.
    Open,
}

proptest! {
    /// A send has the key of an earlier send if, and only if, one is in doubt. Each is repeated by
    /// one.
    #[test]
    fn as_many_uncounted_sends_share_a_key_as_were_in_doubt(
        ends in prop::collection::vec((0..2_u8, 0..30_u64, prop_oneof![
            Just(End::Accepted), Just(End::Failed), Just(End::Refused), Just(End::Left),
            Just(End::Open),
        ]), 0..40)
    ) {
        let (mut now, mut made) = nothing();
        // The sends in doubt: request, key and time.
        let mut doubts: Vec<(u8, RandomId, Instant)> = Vec::new();
        let mut began = std::collections::HashMap::new();
        for (print, seconds, end) in ends {
            now += Duration::from_secs(seconds) + Duration::from_micros(1);
            doubts.retain(|(_, _, since)| now < *since + TIME);
            let key = made.key([print; 32], UNCOUNTED, now);
            let of = doubts.iter().filter(|(of, ..)| *of == print).min_by_key(|(.., since)| *since);
            prop_assert_eq!(key.recognised.then_some(key.key), of.map(|(_, key, _)| *key));
            doubts.retain(|(_, known, _)| *known != key.key);
            let ticket = ticket(1, [print; 32], key, UNCOUNTED);
            if !matches!(end, End::Refused) {
                made.sent(&ticket, now);
                began.entry(key.key).or_insert(now);
            }
            match end {
                End::Accepted => { made.accepted(&ticket); }
                End::Failed | End::Refused | End::Left => made.doubted(&ticket),
                End::Open => continue,
            }
            if !matches!(end, End::Left) {
                made.release(&ticket, matches!(end, End::Accepted | End::Failed));
            }
            // A refused retry leaves the one that it repeats in doubt.
            if let (End::Failed | End::Refused | End::Left, Some(since)) = (end, began.get(&key.key)) {
                doubts.push((print, key.key, *since));
            }
        }
    }
}
