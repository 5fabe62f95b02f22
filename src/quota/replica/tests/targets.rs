//! How the model splits a pool: class by class weighted max-min over apps, an app's part over
//! replicas by demand, then the reserve, then whole blocks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::{AppDemand, DemandClass};

/// What one replica gets: whole blocks, and the part of each app.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub(super) blocks: i64,
    pub(super) shares: BTreeMap<String, f64>,
    /// Whole blocks for interactive calls, those kept for them included.
    pub(super) interactive: i64,
}

/// One block in so many is for bulk calls if they want it.
const BULK: f64 = 20.0;

type Live<'a> = (i64, &'a [AppDemand]);

fn of(class: DemandClass, apps: &[AppDemand]) -> impl Iterator<Item = &AppDemand> {
    apps.iter().filter(move |app| app.3 == class && app.2 > 0.0)
}

/// The parts of the apps of a class, beside what they want in all, and what is left of `left`.
fn shares<'a>(
    class: DemandClass,
    mut left: f64,
    live: &[Live<'a>],
) -> (BTreeMap<&'a str, (f64, f64)>, f64) {
    let mut apps: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for AppDemand(name, weight, demand, _) in live.iter().flat_map(|(_, apps)| of(class, apps)) {
        let app = apps.entry(name).or_default();
        *app = (app.0.max(f64::from(*weight)), app.1 + demand);
    }
    let mut order: Vec<_> = apps.iter().map(|(name, app)| (*name, app.0, app.1)).collect();
    order.sort_by(|a, b| (a.2 / a.1).total_cmp(&(b.2 / b.1)).then(a.0.cmp(b.0)));
    let mut weights: f64 = order.iter().map(|app| app.1).sum();
    let mut shares = BTreeMap::new();
    for (name, weight, demand) in order {
        let share = demand.min(left * weight / weights);
        shares.insert(name, (share, demand));
        left -= share;
        weights -= weight;
    }
    (shares, left)
}

/// What one replica gets, in parts of blocks.
#[derive(Default)]
struct Part {
    blocks: f64,
    interactive: f64,
    shares: BTreeMap<String, f64>,
}

/// What every replica wants, met in the order of the classes.
fn parts(blocks: f64, keep: f64, live: &[Live<'_>]) -> Vec<(i64, Part)> {
    let wanted = |apps: &[AppDemand]| -> f64 {
        apps.iter().map(|app| app.2).filter(|demand| *demand > 0.0).sum()
    };
    let idle = live.iter().filter(|(_, apps)| wanted(apps) < keep).count() as f64;
    let all = (blocks - keep * idle).max(0.0);
    let bulk = live.iter().flat_map(|(_, apps)| of(DemandClass::Bulk, apps)).map(|app| app.2);
    let part = if blocks > 1.0 { (blocks / BULK).ceil() } else { 0.0 };
    let sure = bulk.sum::<f64>().min(part).min(all);
    let mut left = all - sure;
    let mut parts: Vec<(i64, Part)> = live.iter().map(|(id, _)| (*id, Part::default())).collect();
    for class in DemandClass::ALL {
        if class == DemandClass::Bulk {
            left += sure;
            parts.iter_mut().for_each(|(_, part)| part.interactive = part.blocks);
        }
        let (shares, rest) = shares(class, left, live);
        left = rest;
        for ((_, part), (_, apps)) in parts.iter_mut().zip(live) {
            for AppDemand(name, _, demand, _) in of(class, apps) {
                let (share, all) = shares[name.as_str()];
                part.blocks += share * demand / all;
                if class == DemandClass::Interactive {
                    part.shares.insert(name.clone(), share * demand / all);
                }
            }
        }
    }
    parts.iter_mut().for_each(|(_, part)| part.blocks = part.blocks.max(keep));
    parts
}

#[expect(clippy::cast_precision_loss, reason = "a few blocks")]
#[expect(clippy::cast_possible_truncation, reason = "a few blocks")]
pub(super) fn targets(blocks: i64, live: &[Live<'_>]) -> BTreeMap<i64, Target> {
    let (n, k) = (blocks as f64, live.len() as f64);
    let keep = if n >= 4.0 * k { 1.0 } else { 0.0 };
    let mut list = parts(n, keep, live);
    let mut sum: f64 = list.iter().map(|(_, part)| part.blocks).sum();
    if k > 0.0 && n > sum {
        let reserve = (n / (2.0 * k)).floor().min(((n - sum) / k).floor());
        for (_, part) in &mut list {
            part.blocks += reserve;
            sum += reserve;
        }
    }
    let mut left = n.min((sum - 1e-6).ceil()) as i64;
    let mut whole = Vec::new();
    let mut targets = BTreeMap::new();
    for (id, Part { blocks: part, interactive, shares }) in list {
        let floor = (part + 1e-9).floor();
        whole.push((Reverse(((part - floor) * 1e6 + 0.5).floor() as i64), id));
        left -= floor as i64;
        let interactive = (interactive + 1e-9).floor() as i64;
        targets.insert(id, Target { blocks: floor as i64, shares, interactive });
    }
    whole.sort_unstable();
    for (_, id) in whole {
        if left <= 0 {
            break;
        }
        targets.get_mut(&id).expect("it was put in").blocks += 1;
        left -= 1;
    }
    while left < 0 {
        let most = targets.iter().max_by_key(|(id, target)| (target.blocks, Reverse(**id)));
        let (id, _) = most.expect("somebody has too many");
        targets.get_mut(&id.clone()).expect("it is there").blocks -= 1;
        left += 1;
    }
    targets
}
