//! What is in the files of slots, and who waits for them.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::super::pass::Pass;
use super::super::quotas::{AppPools, Edition, Quotas};
use super::super::turn::{Entered, QueueWaiter};
use super::*;
use crate::clock;
use crate::ids::RandomId;
use crate::quota::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Moment, Price, PriceNo, Settlement, state_file,
};

/// A tenant with connections of one app each, whose files are in a folder.
struct World {
    edition: Arc<Edition>,
    store: SlotStore,
    pools: Vec<PoolId>,
}

/// What the record of a slot says.
const FREE: u32 = 0;
const IN_USE: u32 = 1;
const RESTS: u32 = 2;

fn world(connections: usize, calls: u32) -> World {
    let folder = std::env::temp_dir().join(format!("tollgate-slots-{}", RandomId::new()));
    let store = SlotStore::open(&folder, None).unwrap();
    let quotas = Quotas::start(Instant::now(), Some(&store), None);
    let pools = (0..connections).map(|number| {
        quotas.with(|core, now| {
            let mut settings = ConnectionSettings::of("acme", calls, Duration::from_secs(3600));
            (settings.max_wait, settings.burst) = (Duration::from_secs(36_000), 1000);
            let connection = core.quota.add_connection(settings, None, now);
            core.quota.add_app(connection, AppSettings::default(), now).unwrap();
            let own = core.quota.own_pool(connection).unwrap();
            core.quota.set_price(connection, PriceNo(0), Price::new(&[(own, 1)]).unwrap());
            let journal = core.journal.as_mut().unwrap();
            journal.open(own, &format!("file{number}"), &core.quota);
            own
        })
    });
    World { pools: pools.collect(), edition: Edition::of(&quotas), store }
}

impl World {
    fn call(connection: usize) -> AdmissionRequest {
        AdmissionRequest {
            connection: ConnectionNo(u16::try_from(connection).unwrap()),
            app: AppNo(0),
            price: PriceNo(0),
            bulk: false,
            latest: Moment::NEVER,
            by_caller: false,
            asked: false,
        }
    }

    fn of(connection: usize) -> AppPools<'static> {
        let call = Self::call(connection);
        AppPools { connection: call.connection, app: call.app, pools: &[], asks_room: false }
    }

    fn enter(&self, connection: usize) -> Entered {
        let call = Self::call(connection);
        let (entered, _) = self.edition.enter(&Self::of(connection), |_| call, None);
        entered.unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
    }

    fn starts(&self, connection: usize) -> Pass {
        let Entered::Let(pass) = self.enter(connection) else { panic!("it waits") };
        pass
    }

    fn waits(&self, connection: usize) -> QueueWaiter {
        let Entered::Waits(waiter, _) = self.enter(connection) else { panic!("it starts") };
        waiter
    }

    /// What the file of a connection says of a slot. One whose rest is over is free.
    fn written(&self, connection: usize, slot: u32) -> u32 {
        let file = std::fs::File::open(self.store.file(&format!("file{connection}"))).unwrap();
        let mut record = [0; state_file::RECORD];
        file.read_exact_at(&mut record, state_file::offset(slot)).unwrap();
        let until = u64::from_le_bytes(record[..8].try_into().unwrap());
        match u32::from_le_bytes(record[8..12].try_into().unwrap()) {
            RESTS if Duration::from_nanos(until) <= clock::boottime() => FREE,
            kind => kind,
        }
    }

    /// What the file of a connection says of its slots: how many say what.
    fn file(&self, connection: usize, slots: u32) -> BTreeMap<u32, u32> {
        let mut counted = BTreeMap::new();
        for slot in 0..slots {
            *counted.entry(self.written(connection, slot)).or_default() += 1;
        }
        counted
    }

    fn in_use(&self, connection: usize) -> u32 {
        self.edition.look(|core, _| core.quota.gauge(self.pools[connection]).unwrap().in_use)
    }

    fn log(&self, connection: usize) -> Arc<SlotLog> {
        let pool = self.pools[connection];
        self.edition.look(|core, _| core.journal.as_ref().unwrap().logs[&pool].clone())
    }
}

#[tokio::test]
async fn a_write_that_blocks_holds_up_only_who_takes_a_slot_of_that_pool() {
    let world = world(2, 3);
    let sent = world.starts(0);
    let log = world.log(0);
    let blocks = log.block();
    let is_let_in = AtomicBool::new(false);
    thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let pass = world.starts(0);
            is_let_in.store(true, Ordering::SeqCst);
            pass
        });
        while world.in_use(0) < 2 {
            thread::yield_now();
        }
        // The tenant's lock is free: others come in, are settled and are told where they stand.
        let other = world.starts(1);
        assert_eq!(world.file(1, 3), BTreeMap::from([(FREE, 2), (IN_USE, 1)]));
        drop(sent);
        assert!(other.ends(true, &World::of(1)).is_none(), "no pool was asked about");
        assert_eq!(world.file(1, 3), BTreeMap::from([(FREE, 2), (RESTS, 1)]));
        assert!(world.edition.preview(&World::of(0), |_| World::call(0), None).0.is_ok());
        assert!(!is_let_in.load(Ordering::SeqCst), "its take is not written");
        assert_eq!(world.in_use(0), 1);
        drop(blocks);
        let pass = taker.join().unwrap();
        assert_eq!(world.file(0, 3), BTreeMap::from([(FREE, 2), (IN_USE, 1)]));
        drop(pass);
    });
}

#[tokio::test]
async fn a_call_that_waited_goes_on_when_its_take_is_written() {
    let world = world(1, 1);
    let first = world.starts(0);
    let waiter = world.waits(0);
    drop(first);
    let pass = waiter.turn().await.unwrap();
    assert_eq!(world.file(0, 1), BTreeMap::from([(IN_USE, 1)]));
    assert!(pass.ends(true, &World::of(0)).is_none(), "no pool was asked about");
    assert_eq!(world.file(0, 1), BTreeMap::from([(RESTS, 1)]));
}

#[tokio::test]
async fn what_was_noted_while_somebody_writes_is_written_by_them() {
    let world = world(1, 2);
    let (one, two) = (world.starts(0), world.starts(0));
    let log = world.log(0);
    let blocks = log.block();
    drop(one);
    drop(two);
    assert_eq!(world.file(0, 2), BTreeMap::from([(IN_USE, 2)]));
    drop(blocks);
    log.have_written();
    assert_eq!(world.file(0, 2), BTreeMap::from([(FREE, 2)]));
}

#[tokio::test]
async fn threads_that_take_and_settle_leave_the_file_as_the_quota_is() {
    const SLOTS: u32 = 40;
    let world = world(1, SLOTS);
    let turns = |every: u32| {
        for turn in 0..600 {
            let (grant, noted) = world.edition.with(|core, now| {
                let AdmissionVerdict::Start(grant) = core.quota.enter(now, &World::call(0)) else {
                    panic!("there are slots enough")
                };
                let noted = core.taken(&grant);
                (grant, noted)
            });
            noted.write();
            let slots: Vec<_> = world.edition.look(|core, _| core.quota.slots_of(&grant).collect());
            assert!(slots.iter().all(|(_, slot)| world.written(0, *slot) == IN_USE));
            let how = match turn % every {
                0 => Settlement::NoAnswer,
                _ => Settlement::NothingSent,
            };
            world.edition.abandon(grant, how);
        }
    };
    thread::scope(|scope| {
        for every in [100, 150, 200, 600] {
            scope.spawn(move || turns(every));
        }
    });
    world.edition.close();
    let gauge = world.edition.look(|core, _| core.quota.gauge(world.pools[0]).unwrap());
    let file = world.file(0, SLOTS);
    assert_eq!((gauge.in_use, gauge.resting), (0, 6 + 4 + 3 + 1));
    assert_eq!(file, BTreeMap::from([(FREE, gauge.free), (RESTS, gauge.resting)]));
}
