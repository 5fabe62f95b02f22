//! The queue against plain lists.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const KEY: FifoKey = FifoKey { app: 0, lane: Lane::Interactive, price: 0 };

fn call(key: FifoKey, since: u64, latest: u64) -> QueuedCall {
    let (since, latest) = (Moment::from_nanos(since), Moment::from_nanos(latest));
    QueuedCall { key, since, latest, by_caller: false }
}

#[test]
fn a_node_is_small() {
    let node = size_of::<Node>() + size_of::<u32>() + 2 * size_of::<(Moment, u32)>();
    assert!(node <= 128, "{node}");
}

#[test]
fn a_place_means_nothing_once_left() {
    let mut queue = Queue::new(1);
    let first = queue.push(call(KEY, 0, 5));
    assert!(queue.leave(first).is_some());
    let second = queue.push(call(KEY, 0, 6));
    assert!(queue.leave(first).is_none());
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.pop(KEY).map(|(place, _)| place), Some(second));
    assert!(queue.leave(second).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32, u16, u64, u64),
    Pop(u32, u16),
    Leave(usize),
    Expire(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3u32, 0..2u16, 0..9u64, 0..50u64).prop_map(|(a, p, s, d)| Step::Push(a, p, s, d)),
        1 => (0..3u32, 0..2u16).prop_map(|(a, p)| Step::Pop(a, p)),
        1 => (0..20usize).prop_map(Step::Leave),
        1 => (0..50u64).prop_map(Step::Expire),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// Against plain lists: nobody is lost, doubled or overtaken within a line by who came later;
    /// who comes back stands where it stood.
    #[test]
    fn behaves_like_plain_lists(steps in steps()) {
        let mut queue = Queue::new(2);
        let mut model: VecDeque<(FifoPlace, FifoKey, u64, u64)> = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(app, price, since, latest) => {
                    let key = FifoKey { app, price, lane: Lane::ALL[(app % 2) as usize] };
                    let place = queue.push(call(key, since, latest));
                    let behind = model.iter().position(|(_, k, s, _)| *k == key && *s > since);
                    let at = behind.unwrap_or(model.len());
                    model.insert(at, (place, key, since, latest));
                    let before = model.iter().take(at).filter(|(_, k, ..)| *k == key).count();
                    prop_assert_eq!(queue.before(place) as usize, before);
                }
                Step::Pop(app, price) => {
                    let key = FifoKey { app, price, lane: Lane::ALL[(app % 2) as usize] };
                    let at = model.iter().position(|(_, k, ..)| *k == key);
                    let expected = at.and_then(|at| model.remove(at)).map(|(place, ..)| place);
                    prop_assert_eq!(queue.pop(key).map(|(place, _)| place), expected);
                }
                Step::Leave(at) => {
                    if let Some((place, ..)) = model.remove(at) {
                        prop_assert!(queue.leave(place).is_some());
                    }
                }
                Step::Expire(now) => {
                    let due = model.iter().filter(|(.., d)| *d < now).count();
                    let mut gone = 0;
                    while let Some((place, call)) = queue.expired(Moment::from_nanos(now)) {
                        prop_assert!(call.latest < Moment::from_nanos(now));
                        model.retain(|(p, ..)| *p != place);
                        gone += 1;
                    }
                    prop_assert_eq!(gone, due);
                }
            }
            prop_assert_eq!(queue.len() as usize, model.len());
            let first = model.iter().map(|(.., d)| Moment::from_nanos(*d)).min();
            prop_assert_eq!(queue.first_deadline(), first);
        }
    }
}
