//! What happens when a waiting call leaves, is woken and is changed in the same moment.

use tokio::time::advance;

use super::super::quotas::Quotas;
use super::*;
use crate::quota::{AppSettings, ConnectionSettings, Lane, Moment, Price, PriceNo, QuotaRule};

const WINDOW: Duration = Duration::from_secs(10);
/// A slot rests the window and a guard of 50 ms.
const REST: Duration = Duration::from_millis(10_050);

/// A connection of one call per window, and a call for it.
struct One {
    edition: Arc<Edition>,
    request: AdmissionRequest,
}

fn one() -> One {
    let quotas = Quotas::start(Instant::now(), None, None);
    let (connection, app) = quotas.with(|core, now| {
        let mut settings = ConnectionSettings::of("acme", 1, WINDOW);
        (settings.max_wait, settings.depth, settings.app_depth) = (6 * WINDOW, 10, 10);
        // No pace beside the slots, with a raised limit neither.
        settings.burst = 10;
        let connection = core.quota.add_connection(settings, None, now);
        let app = core.quota.add_app(connection, AppSettings::default(), now).unwrap();
        let own = core.quota.own_pool(connection).unwrap();
        core.quota.set_price(connection, PriceNo(0), Price::new(&[(own, 1)]).unwrap());
        (connection, app)
    });
    let request = AdmissionRequest {
        connection,
        app,
        price: PriceNo(0),
        bulk: false,
        latest: Moment::NEVER,
        by_caller: false,
        asked: false,
    };
    One { edition: Edition::of(&quotas), request }
}

impl One {
    fn pools(&self) -> AppPools<'static> {
        let AdmissionRequest { connection, app, .. } = self.request;
        AppPools { connection, app, pools: &[], asks_room: false }
    }

    /// The answer to the call of `pass` is here.
    fn answers(&self, pass: Pass) {
        let room = pass.ends(true, &self.pools());
        assert!(room.is_none(), "no pool was asked about");
    }

    /// A call that starts at once.
    fn starts(&self) -> Pass {
        match self.edition.enter(&self.pools(), |_| self.request, None).0 {
            Ok(Entered::Let(pass)) => pass,
            Ok(Entered::Waits(..)) => panic!("it waits"),
            Err(refusal) => panic!("it is refused: {refusal:?}"),
        }
    }

    /// A call that waits.
    fn waits(&self) -> QueueWaiter {
        match self.edition.enter(&self.pools(), |_| self.request, None).0 {
            Ok(Entered::Waits(waiter, _)) => waiter,
            Ok(Entered::Let(_)) => panic!("it starts at once"),
            Err(refusal) => panic!("it is refused: {refusal:?}"),
        }
    }

    /// Slots that are free, that are in use, and calls that wait.
    fn figures(&self) -> (u32, u32, u32) {
        let connection = self.request.connection;
        self.edition.look(|core, _| {
            let gauge = core.quota.gauge(core.quota.own_pool(connection).unwrap()).unwrap();
            assert_eq!(
                u32::try_from(core.waiting.len()).unwrap(),
                core.quota.waiting(connection, Lane::Interactive)
            );
            (gauge.free, gauge.in_use, core.quota.waiting(connection, Lane::Interactive))
        })
    }
}

/// Whether the call's turn has come or was refused, without waiting for it.
fn is_told(waiter: &mut QueueWaiter) -> bool {
    let told = waiter.receiver.try_recv();
    match told {
        Ok(ending) => {
            // Put back what was taken out to look.
            let (sender, receiver) = oneshot::channel();
            assert!(sender.send(ending).is_ok());
            waiter.receiver = receiver;
            true
        }
        Err(_) => false,
    }
}

#[tokio::test(start_paused = true)]
async fn one_look_at_the_quota_lets_a_call_in_and_tells_what_is_left() {
    let one = one();
    let own = one.edition.with(|core, _| core.quota.own_pool(one.request.connection));
    let own = [own.unwrap()];
    let pools = |asks_room| AppPools { pools: &own, asks_room, ..one.pools() };
    let enter = |asks_room| one.edition.enter(&pools(asks_room), |_| one.request, None);
    let left = |room: Option<Tightest>| room.map(|tightest| tightest.room.calls);
    let (entered, room) = enter(true);
    assert!(matches!(entered, Ok(Entered::Let(_))));
    assert_eq!(left(room), Some(0), "its own slot is taken");
    drop(entered);
    let (entered, room) = enter(false);
    assert!(matches!(entered, Ok(Entered::Let(_))));
    assert_eq!(left(room), None, "nobody asked");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_gives_its_place_to_the_next() {
    let one = one();
    one.answers(one.starts());
    let (first, second) = (one.waits(), one.waits());
    drop(first);
    assert_eq!(one.figures(), (0, 0, 1));
    let began = Instant::now();
    let pass = second.turn().await.unwrap();
    assert!(began.elapsed() >= REST && began.elapsed() < REST + Duration::from_millis(10));
    drop(pass);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_after_its_turn_came_costs_no_slot() {
    let one = one();
    one.answers(one.starts());
    let mut waiter = one.waits();
    advance(REST).await;
    assert_eq!(one.figures(), (0, 1, 0), "its turn came, and nobody has heard of it");
    assert!(is_told(&mut waiter));
    drop(waiter);
    assert_eq!(one.figures(), (1, 0, 0));
    drop(one.starts());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_unheard_lets_the_next_go_at_once() {
    let one = one();
    one.answers(one.starts());
    let (first, mut second) = (one.waits(), one.waits());
    advance(REST).await;
    assert_eq!(one.figures(), (0, 1, 1));
    assert!(!is_told(&mut second));
    drop(first);
    assert!(is_told(&mut second), "the slot that was not used is its own");
    assert_eq!(one.figures(), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn two_looks_at_one_moment_give_one_slot_once() {
    let one = one();
    one.answers(one.starts());
    let (mut first, mut second) = (one.waits(), one.waits());
    advance(REST).await;
    one.edition.with(|_, _| ());
    one.edition.with(|_, _| ());
    assert_eq!((is_told(&mut first), is_told(&mut second)), (true, false));
    one.answers(first.turn().await.unwrap());
    one.edition.with(|_, _| ());
    assert!(!is_told(&mut second), "the slot rests again");
    advance(REST).await;
    one.edition.with(|_, _| ());
    assert!(is_told(&mut second));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_raised_wakes_who_waits_and_one_turn_is_not_told_twice() {
    let one = one();
    one.answers(one.starts());
    let (mut first, mut second) = (one.waits(), one.waits());
    one.edition.with(|core, now| {
        let own = core.quota.own_pool(one.request.connection).unwrap();
        core.quota.set_limit(own, 2, now);
    });
    assert_eq!((is_told(&mut first), is_told(&mut second)), (true, false));
    assert_eq!(one.figures(), (0, 1, 1));
    drop(first);
    assert!(is_told(&mut second));
    drop(second);
    assert_eq!(one.figures(), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_paused_sends_its_waiters_away_and_one_that_left_is_not_missed() {
    let one = one();
    one.answers(one.starts());
    let (first, second) = (one.waits(), one.waits());
    drop(first);
    one.edition.with(|core, _| core.quota.pause(one.request.connection, one.request.app, true));
    let refusal = second.turn().await.err().unwrap();
    assert_eq!(refusal.rule, QuotaRule::AppPaused);
    assert_eq!(one.figures(), (0, 0, 0));
}
