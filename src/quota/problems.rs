//! What can be wrong with the settings of one workspace together.

use super::pools;
use super::settings::{ConnectionSettings, PoolSettings, PriceSettings};

/// Everything that is wrong with the settings of one workspace.
pub(crate) fn problems(
    named: &[PoolSettings],
    prices: &[PriceSettings],
    connections: &[ConnectionSettings],
) -> Vec<String> {
    let mut problems = Vec::new();
    let most = usize::from(u16::MAX);
    if named.len() + connections.len() > most || prices.len() > most {
        problems.push(format!("a workspace has at most {most} pools and prices"));
    }
    let mut names = std::collections::BTreeSet::new();
    let own = connections.iter().map(|connection| &connection.pool);
    for pool in named.iter().chain(own) {
        if !names.insert(&pool.name) {
            problems.push(format!("two pools are named {:?}", pool.name));
        }
    }
    let of_pools = named.iter().map(|pool| (pool.name.clone(), pool.problems()));
    let of_connections = connections.iter().map(|c| (c.pool.name.clone(), c.problems()));
    for (name, found) in of_pools.chain(of_connections) {
        problems.extend(found.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    for price in prices {
        if price.named.len() >= pools::PRICE_POOLS {
            problems
                .push(format!("an operation pays at most {} named pools", pools::PRICE_POOLS - 1));
        }
        for (at, cost) in &price.named {
            match named.get(*at) {
                None => problems.push(format!("an operation pays unknown pool {at}")),
                Some(pool) if *cost > pool.calls => problems.push(format!(
                    "an operation costs {cost} of {}, which has {}",
                    pool.name, pool.calls
                )),
                Some(_) => {}
            }
        }
        for pool in connections.iter().map(|c| &c.pool) {
            if price.connection > pool.calls {
                problems.push(format!(
                    "an operation costs {} of {}, which has {}",
                    price.connection, pool.name, pool.calls
                ));
            }
        }
    }
    problems
}
