//! Checks what rows pay: the quota must be able to take every price.

use std::collections::HashMap;
use std::sync::Arc;

use super::operation::{MOST_CALLS, MOST_PAID, MOST_PRICES};
use super::{Operation, Pool};
use crate::document::{Document, PathStep, Problem};

/// The places of a file's rows and pools. Those of the embedded catalogue have no place.
pub(super) struct Places {
    rows: HashMap<Arc<str>, Problem>,
    pools: HashMap<String, Problem>,
}

impl Places {
    /// The places in `document`, whose rows and pools `parts` finds.
    pub(super) fn of<T>(
        document: &Document<'_, T>,
        parts: impl Fn(&T) -> (&Vec<Operation>, &Vec<Pool>),
    ) -> Self {
        let (rows, pools) = parts(&document.value);
        let place = |list, at, key| {
            document.problem(&[PathStep::Key(list), PathStep::Index(at), PathStep::Key(key)], "")
        };
        Self {
            rows: (0..)
                .zip(rows)
                .map(|(at, row)| (row.id.clone(), place("operation", at, "pools")))
                .collect(),
            pools: (0..)
                .zip(pools)
                .map(|(at, pool)| (pool.id.clone(), place("pool", at, "calls")))
                .collect(),
        }
    }

    fn row(&self, row: &Operation, message: String) -> Problem {
        at(self.rows.get(&row.id), message)
    }

    /// A problem at the row, or at the pool if the row stands in another file.
    fn row_or_pool(&self, row: &Operation, pool: &str, message: String) -> Problem {
        at(self.rows.get(&row.id).or_else(|| self.pools.get(pool)), message)
    }

    fn pool(&self, pool: &Pool, message: String) -> Problem {
        at(self.pools.get(&pool.id), message)
    }
}

fn at(place: Option<&Problem>, message: String) -> Problem {
    Problem { message, ..place.cloned().unwrap_or_default() }
}

/// The prices of these rows and pools that no quota can take.
pub(super) fn problems(rows: &[Arc<Operation>], pools: &[Pool], places: &Places) -> Vec<Problem> {
    let mut problems: Vec<Problem> = pools.iter().flat_map(|pool| of_pool(pool, places)).collect();
    problems.extend(rows.iter().flat_map(|row| of_row(row, pools, places)));
    let mut prices: Vec<_> = rows.iter().map(|row| price(row)).collect();
    prices.sort_unstable();
    prices.dedup();
    if prices.len() > MOST_PRICES {
        let message =
            format!("the rows have {} different prices, of {MOST_PRICES} at most", prices.len());
        problems.push(Problem::of_file(message));
    }
    problems.sort();
    problems
}

fn price(row: &Operation) -> (u32, Vec<(&str, u32)>) {
    (row.own_cost(), row.named_pools().collect())
}

fn of_pool<'a>(pool: &'a Pool, places: &'a Places) -> impl Iterator<Item = Problem> + 'a {
    let calls = (pool.calls.get() > MOST_CALLS)
        .then(|| format!("pool '{}': calls must be at most {MOST_CALLS}", pool.id));
    let window = pool
        .window
        .get()
        .is_zero()
        .then(|| format!("pool '{}': window must be more than 0", pool.id));
    calls.into_iter().chain(window).map(|message| places.pool(pool, message))
}

fn of_row(row: &Operation, pools: &[Pool], places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    let named = row.named_pools().count();
    if named >= MOST_PAID {
        let most = MOST_PAID - 1;
        let message = format!("operation '{}' pays {named} named pools, of {most} at most", row.id);
        problems.push(places.row(row, message));
    }
    for name in row.pools.keys().filter(|name| *name != super::CONNECTION_POOL) {
        if pools.iter().all(|pool| pool.id != *name) {
            let message = format!(
                "operation '{}' pays pool '{name}', which no [[pool]] declares: write one, or leave the price out",
                row.id
            );
            problems.push(places.row(row, message));
        }
    }
    for (name, cost) in row.named_pools() {
        let paid = pools.iter().find(|pool| pool.id == name);
        if let Some(pool) = paid.filter(|pool| pool.calls.get() < cost) {
            let message = format!(
                "operation '{}' costs {cost} of pool '{name}', which has {}: no call could start",
                row.id, pool.calls
            );
            problems.push(places.row_or_pool(row, name, message));
        }
    }
    problems
}
