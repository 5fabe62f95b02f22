//! How the model splits a pool: weighted max-min over apps, an app's part over replicas by demand,
//! then the reserve, then whole blocks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::AppDemand;

/// What one replica gets: whole blocks, and the part of each app.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub(super) blocks: i64,
    pub(super) shares: BTreeMap<String, f64>,
}

/// The apps' parts of what is not kept for idle replicas.
fn shares<'a>(blocks: f64, live: &'a [(i64, &[AppDemand])]) -> BTreeMap<&'a str, (f64, f64)> {
    let mut apps: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for AppDemand(name, weight, demand) in live.iter().flat_map(|(_, apps)| *apps) {
        if *demand > 0.0 {
            let app = apps.entry(name).or_default();
            *app = (app.0.max(f64::from(*weight)), app.1 + demand);
        }
    }
    let mut order: Vec<_> = apps.iter().map(|(name, app)| (*name, app.0, app.1)).collect();
    order.sort_by(|a, b| (a.2 / a.1).total_cmp(&(b.2 / b.1)).then(a.0.cmp(b.0)));
    let mut weights: f64 = order.iter().map(|app| app.1).sum();
    let mut left = blocks;
    let mut shares = BTreeMap::new();
    for (name, weight, demand) in order {
        let share = demand.min(left * weight / weights);
        shares.insert(name, (share, demand));
        left -= share;
        weights -= weight;
    }
    shares
}

#[expect(clippy::cast_precision_loss, reason = "a few blocks")]
#[expect(clippy::cast_possible_truncation, reason = "a few blocks")]
pub(super) fn targets(blocks: i64, live: &[(i64, &[AppDemand])]) -> BTreeMap<i64, Target> {
    let (n, k) = (blocks as f64, live.len() as f64);
    let keep = if n >= 4.0 * k { 1.0 } else { 0.0 };
    let wanted = |apps: &[AppDemand]| -> f64 {
        apps.iter().map(|app| app.2).filter(|demand| *demand > 0.0).sum()
    };
    let idle = live.iter().filter(|(_, apps)| wanted(apps) < keep).count() as f64;
    let shares = shares((n - keep * idle).max(0.0), live);
    let mut list: Vec<(i64, f64, BTreeMap<String, f64>)> = Vec::new();
    for (id, apps) in live {
        let mut parts = BTreeMap::new();
        let mut sum = 0.0;
        for AppDemand(name, _, demand) in *apps {
            if *demand > 0.0 {
                let (share, all) = shares[name.as_str()];
                let part = share * demand / all;
                parts.insert(name.clone(), part);
                sum += part;
            }
        }
        list.push((*id, sum.max(keep), parts));
    }
    let mut sum: f64 = list.iter().map(|(_, part, _)| part).sum();
    if k > 0.0 && n > sum {
        let reserve = (n / (2.0 * k)).floor().min(((n - sum) / k).floor());
        for (_, part, _) in &mut list {
            *part += reserve;
            sum += reserve;
        }
    }
    let mut left = n.min((sum - 1e-6).ceil()) as i64;
    let mut whole = Vec::new();
    let mut targets = BTreeMap::new();
    for (id, part, shares) in list {
        let floor = (part + 1e-9).floor();
        whole.push((Reverse(((part - floor) * 1e6 + 0.5).floor() as i64), id));
        left -= floor as i64;
        targets.insert(id, Target { blocks: floor as i64, shares });
    }
    whole.sort_unstable();
    for (_, id) in whole {
        if left <= 0 {
            break;
        }
        targets.get_mut(&id).expect("it was put in").blocks += 1;
        left -= 1;
    }
    targets
}
