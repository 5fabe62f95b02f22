//! What `check` calls good can be built, and reloaded from and to anything else that is good; what no
//! quota can be made of, it refuses.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tollgate::config::Config;
use tollgate::ids::RandomId;
use tollgate::quota::{
    ConnectionSettings, Moment, PoolSettings, PriceSettings, Quota, static_share,
};

use crate::support::Stack;

/// What a configuration says of quotas; some of it makes no sense.
#[derive(Clone, Debug)]
struct Wanted {
    calls: u32,
    window: u64,
    share: Option<(u32, u32)>,
    burst: Option<u32>,
    bulk_floor: Option<u32>,
    depths: Option<(u32, u32)>,
    weight: u32,
    pools: Vec<(u32, u64)>,
    rows: Vec<(u32, Vec<u32>)>,
    connections: usize,
    workspace: bool,
    long: bool,
}

/// A value that makes sense, or now and then one of those that may not.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    good: Vec<T>,
    odd: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![19 => select(good), 1 => select(odd)]
}

prop_compose! {
    fn connection()(
        calls in mostly(vec![3_u32, 101, 120, 1_000_000], vec![0, 1, 1_000_001]),
        window in mostly(vec![1_u64, 10, 60], vec![0]),
        share in mostly(vec![None, None, Some((3, 1))], vec![Some((0, 0)), Some((2, 2))]),
        burst in mostly(vec![None, Some(3), Some(u32::MAX)], vec![Some(0)]),
        bulk_floor in mostly(vec![None, Some(0)], vec![Some(101)]),
        depths in mostly(vec![None, Some((0, 0)), Some((u32::MAX, u32::MAX))], vec![Some((5, 9))]),
        weight in mostly(vec![1_u32, 7, u32::MAX], vec![0]),
    ) -> Wanted {
        Wanted {
            calls, window, share, burst, bulk_floor, depths, weight,
            pools: Vec::new(), rows: Vec::new(), connections: 1, workspace: false, long: false,
        }
    }
}

prop_compose! {
    fn wanted()(
        wanted in connection(),
        pools in prop::collection::vec(
            (mostly(vec![5_u32, 20], vec![1, 1_000_001]), mostly(vec![10_u64, 60], vec![0])), 2..5),
        rows in prop::collection::vec(
            (mostly(vec![0_u32, 1, 2], vec![101]),
             prop::collection::vec(mostly(vec![0_u32, 1], vec![4, 21]), 0..4)), 0..4),
        connections in 1_usize..4,
        workspace in any::<bool>(),
        long in any::<bool>(),
    ) -> Wanted {
        Wanted { pools, rows, connections, workspace, long, ..wanted }
    }
}

impl Wanted {
    /// Whether the quota's own constructor takes it.
    fn can_be_built(&self) -> bool {
        let pools = self.pools.iter().enumerate().map(|(at, (calls, window))| PoolSettings {
            name: format!("p{at}"),
            calls: *calls,
            window: Duration::from_secs(*window),
            ..ConnectionSettings::of("p", 1, Duration::from_secs(1)).pool
        });
        let rows = self.rows.iter().map(|(own, named)| PriceSettings {
            connection: *own,
            named: (0..).zip(named.iter().copied()).filter(|(_, cost)| *cost > 0).collect(),
        });
        let usual = PriceSettings { connection: 1, named: Vec::new() };
        let calls = match self.share {
            Some((replicas, index)) => static_share(self.calls, replicas, index),
            None => Ok(self.calls),
        };
        let Ok(calls) = calls else { return false };
        let mut settings = ConnectionSettings::of("own", calls, Duration::from_secs(self.window));
        settings.burst = self.burst.unwrap_or(settings.burst);
        settings.bulk_floor = self.bulk_floor.unwrap_or(settings.bulk_floor);
        (settings.depth, settings.app_depth) =
            self.depths.unwrap_or((settings.depth, settings.app_depth));
        let known = self.rows.iter().all(|(_, named)| named.len() <= self.pools.len());
        let prices: Vec<_> = rows.chain([usual]).collect();
        let built = Quota::new(&pools.collect::<Vec<_>>(), &prices, &[settings], Moment::ZERO);
        known && self.weight > 0 && built.is_ok()
    }

    fn text(&self) -> String {
        let mut catalog = String::from("extends = \"courier\"\n");
        for (at, (calls, window)) in self.pools.iter().enumerate() {
            catalog +=
                &format!("[[pool]]\nid = \"p{at}\"\ncalls = {calls}\nwindow = \"{window}s\"\n");
        }
        for (at, (own, named)) in self.rows.iter().enumerate() {
            let named = named.iter().enumerate().map(|(pool, cost)| format!(", p{pool} = {cost}"));
            catalog += &format!(
                "[[operation]]\nid = \"r{at}\"\ngroup = \"g\"\nmethod = \"GET\"\npath = \"/r{at}\"\naccess = \"read\"\npools = {{ connection = {own}{} }}\n",
                named.collect::<String>()
            );
        }
        let mut text = format!(
            "[vendor]\ncatalog = '{}'\n[quota]\ncalls = {}\nwindow = \"{}s\"\n",
            scratch(&catalog),
            self.calls,
            self.window
        );
        let mut key = |name: &str, value: Option<String>| {
            text += &value.map_or_else(String::new, |value| format!("{name} = {value}\n"));
        };
        key("static_share", self.share.map(|(r, i)| format!("{{ replicas = {r}, index = {i} }}")));
        key("burst", self.burst.map(|n| n.to_string()));
        key("bulk_floor", self.bulk_floor.map(|n| n.to_string()));
        key("depth", self.depths.map(|(all, _)| all.to_string()));
        key("app_depth", self.depths.map(|(_, one)| one.to_string()));
        text += "[[tenant]]\nid = \"t\"\n";
        let name =
            |at: usize| format!("c{at}{}", if self.long { "x".repeat(62) } else { String::new() });
        for at in 0..self.connections {
            let workspace = if self.workspace { "workspace = \"w\"\n" } else { "" };
            text += &format!(
                "[[tenant.connection]]\nid = \"{}\"\ntoken = {{ file = '{}' }}\n{workspace}",
                name(at),
                scratch(&format!("token-{at}"))
            );
        }
        let names: Vec<String> = (0..self.connections).map(name).collect();
        text + &format!(
            "[[tenant.app]]\nid = \"a\"\nweight = {}\nconnections = {names:?}\nkeys = [{{ id = \"k\", sha256 = \"{}\" }}]\n",
            self.weight,
            "0".repeat(64)
        )
    }
}

/// A file of the test's own, which the folder of this run holds.
fn scratch(contents: &str) -> String {
    let folder = std::env::temp_dir().join(format!("tollgate-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(RandomId::new().to_string());
    std::fs::write(&path, contents).unwrap();
    path.display().to_string()
}

#[test]
fn what_is_good_can_be_built_and_what_cannot_be_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = ProptestConfig::with_cases(150);
    config.failure_persistence = None;
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let stack = std::cell::RefCell::new(None::<Stack>);
    let (good, bad) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let all = runner.run(&wanted(), |wanted| {
        let text = wanted.text();
        let read = Config::parse(&text);
        let problems = read.as_ref().err().cloned().unwrap_or_default().problems;
        prop_assert_eq!(read.is_ok(), wanted.can_be_built(), "{:#?}\n{}", problems, text);
        if read.is_err() {
            bad.set(bad.get() + 1);
            prop_assert!(problems.iter().all(|problem| problem.line > 0), "{problems:#?}");
            return Ok(());
        }
        good.set(good.get() + 1);
        let _inside = runtime.enter();
        let courier = simulator::Server::new(simulator::Options::default());
        let fresh = Stack::of_text(&text, courier);
        prop_assert!(fresh.is_ok(), "{:?}", fresh.err());
        // From whatever was there before, and back from there to this one.
        let mut before = stack.borrow_mut();
        if let Some(stack) = before.as_mut() {
            prop_assert_eq!(stack.reload(&text), Ok(()), "{}", text);
        }
        *before = fresh.ok().or_else(|| before.take());
        Ok(())
    });
    let folder = std::env::temp_dir().join(format!("tollgate-check-{}", std::process::id()));
    std::fs::remove_dir_all(folder).unwrap();
    all.unwrap_or_else(|error| panic!("{error}"));
    assert!(good.get() > 30 && bad.get() > 30, "{} good, {} bad", good.get(), bad.get());
}
