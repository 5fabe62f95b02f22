//! Where a call stands: its quotas, connection, app and price, for one configuration.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;

use super::pass::Pass;
use super::plan::{ConnectionPlan, Cost};
use super::quotas::{Core, Edition, Entry};
use super::reshape::Change;
use super::view::Outlook;
use crate::call::{Attempt, BufferedCall, Caller};
use crate::catalog::{CONNECTION_POOL, Lane, Operation};
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::identity::AppConnection;
use crate::ids::AppId;
use crate::numbers::{AppIx, ConnectionIx, OperationIx, Table};
use crate::quota::{
    AppNo, ConnectionNo, PoolId, PoolSettings, PriceNo, Refusal, Rule, Standing, Ticket, Usage,
};
use crate::record::{Record, Stood};

/// How old the figures may be that come with an answer that cost no quota.
const LATELY: Duration = Duration::from_millis(100);

/// Lets calls of one configuration in.
pub struct Desk {
    prices: Table<OperationIx, PriceNo>,
    seats: Table<ConnectionIx, Seat>,
}

/// An app on one of its connections.
struct AppSeat {
    number: AppNo,
    /// By price: what the app was told last.
    shown: Box<[ArcSwapOption<Shown>]>,
}

/// What an app was told of its quotas: `RateLimit-Policy` and `RateLimit`.
struct Shown {
    at: Instant,
    fields: (HeaderValue, HeaderValue),
}

/// A connection in its quotas.
pub(super) struct Seat {
    quotas: Arc<Edition>,
    number: ConnectionNo,
    apps: Table<AppIx, AppSeat>,
    /// By price: the pools that are paid, with the names that callers know.
    policies: Vec<Policy>,
}

/// What the operations of one price are bound by.
struct Policy {
    pools: Vec<(PoolId, Arc<str>)>,
    /// The field `RateLimit-Policy`.
    text: HeaderValue,
}

/// The turn of one call, now or later.
pub struct Turn(Entry);

impl Turn {
    /// Where the call stands, if it has to wait.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        match &self.0 {
            Entry::Let(_) => None,
            Entry::Waits(_, standing) => Some(*standing),
        }
    }

    /// Waits for it.
    ///
    /// # Errors
    /// The refusal, if the call can't start in time after all.
    pub async fn come(self) -> std::result::Result<Pass, Refusal> {
        match self.0 {
            Entry::Let(pass) => Ok(pass),
            Entry::Waits(waiter, _) => waiter.turn().await,
        }
    }
}

impl Desk {
    /// The connections of `seats`, whose operations have `prices`.
    pub(super) fn new(
        prices: Table<OperationIx, PriceNo>,
        seats: Table<ConnectionIx, Seat>,
    ) -> Self {
        Self { prices, seats }
    }

    /// Whether `call` would be refused now: to be asked before its body is read.
    ///
    /// # Errors
    /// The refusal, if it would be.
    pub fn ask(
        &self,
        call: &BufferedCall,
        back_since: Option<Instant>,
    ) -> std::result::Result<(), Refusal> {
        let (seat, ticket) = self.ticket(call);
        seat.quotas.ask(&ticket, back_since).map(drop)
    }

    /// Lets `call` in, now or when its turn comes.
    ///
    /// # Errors
    /// The refusal, if it can't start in time.
    pub fn enter(&self, call: &Attempt) -> std::result::Result<Turn, Refusal> {
        let (seat, ticket) = self.ticket(call);
        seat.quotas.enter(&ticket, call.back_since).map(Turn)
    }

    /// Where a call that can't start at once stands, with the name of the pool that it waits for.
    #[must_use]
    pub fn stood(&self, call: &BufferedCall, standing: Option<Standing>) -> Option<Stood> {
        let standing = standing?;
        let (seat, price) = (&self.seats[call.caller.ix], self.prices[call.operation.ix]);
        let policy = seat.policies.get(usize::from(price.0));
        let pool = standing.bound.pool().zip(policy).and_then(|(bound, policy)| {
            let known = policy.pools.iter().find(|(id, _)| *id == bound);
            known.map(|(_, name)| name.clone())
        });
        Some(Stood { standing, pool })
    }

    /// What `app` could do now on a connection.
    #[must_use]
    pub fn outlook(&self, connection: &AppConnection, app: &AppId) -> Option<Outlook> {
        let seat = &self.seats[connection.ix];
        let prospect = seat.quotas.prospect(seat.number, seat.apps[connection.app].number)?;
        Some(Outlook::of(&connection.id, app, &prospect))
    }

    /// Notes for the caller what its app may do now, under the quotas that the operation pays.
    pub fn show(&self, caller: &Caller, operation: &Operation, record: &Record) {
        let (seat, app, price) = self.find(caller, operation);
        let fields = seat.rate_limit(app.number, price);
        if let (Some(last), Some(fields)) = (app.last(price), fields.clone()) {
            last.store(Some(Arc::new(Shown { at: Instant::now(), fields })));
        }
        record.mark(|marks| marks.rate_limit = fields);
    }

    /// The same for a call that may cost nothing: what was told within the last 100 ms is told again, so
    /// that copies are handed out without a look at the quota.
    pub fn show_lately(&self, caller: &Caller, operation: &Operation, record: &Record) {
        let (_, app, price) = self.find(caller, operation);
        let known = app.last(price).map(ArcSwapOption::load);
        match known.as_deref().and_then(Option::as_ref).filter(|s| s.at.elapsed() < LATELY) {
            Some(shown) => record.mark(|marks| marks.rate_limit = Some(shown.fields.clone())),
            None => self.show(caller, operation, record),
        }
    }

    /// The refusal of `call` as its answer: 429 (403 for a paused app) with a true time to come back.
    #[must_use]
    pub fn refused(&self, call: &BufferedCall, refusal: &Refusal) -> Error {
        let pool = self.stood(call, refusal.standing).and_then(|stood| stood.pool);
        let Usage { calls, window, held, own } = refusal.usage;
        let used = match pool.filter(|pool| **pool != *CONNECTION_POOL) {
            Some(name) => format!("the quota '{name}' of this operation has no room"),
            None => format!(
                "{held} of {calls} calls in {} s are used, {own} of them by this app",
                window.as_secs_f64()
            ),
        };
        let (code, what) = match refusal.rule {
            Rule::QuotaExhausted => {
                let what = "the connection's quota is used up for longer than a call may wait";
                (Code::QuotaExhausted, format!("{what}: {used}"))
            }
            Rule::QueueFull => {
                (Code::QueueFull, format!("as many calls wait already as may: {used}"))
            }
            Rule::DeadlineTooNear => {
                let what = "the quota has no room before the caller's own deadline";
                (Code::DeadlineTooNear, format!("{what}: {used}"))
            }
            Rule::VendorThrottled => {
                let what = "Courier asked for a pause that is not over yet";
                (Code::VendorThrottled, what.to_owned())
            }
            Rule::AppLimited => (Code::AppLimited, "the app's own limit is reached".to_owned()),
            Rule::AppPaused => {
                return Error::refused(Code::AppPaused, "an operator has paused this app")
                    .with_retry_after(refusal.after);
            }
        };
        let (seconds, id) = (refusal.seconds(), &call.record.call_id);
        let detail =
            format!("{what}; a place is likely in {seconds} s; why: GET /.tollgate/me?call={id}");
        Error::refused(code, detail).with_retry_after(refusal.after)
    }

    fn ticket(&self, call: &BufferedCall) -> (&Seat, Ticket) {
        let (seat, app, price) = self.find(&call.caller, &call.operation);
        let app = app.number;
        let usual = seat.quotas.usual_answer(seat.number);
        let useful = call.deadline.checked_sub(usual).unwrap_or(call.deadline);
        let preferred = call.wait_until.filter(|wait| *wait <= useful);
        let bulk = call.operation.lane == Some(Lane::Bulk);
        let latest = seat.quotas.moment_of(preferred.unwrap_or(useful));
        let by_caller = preferred.is_some() || call.own_deadline;
        let asked = call.wait_until.is_some();
        (seat, Ticket { connection: seat.number, app, price, bulk, latest, by_caller, asked })
    }

    fn find(&self, caller: &Caller, operation: &Operation) -> (&Seat, &AppSeat, PriceNo) {
        let seat = &self.seats[caller.ix];
        (seat, &seat.apps[caller.app_ix], self.prices[operation.ix])
    }
}

impl AppSeat {
    fn last(&self, price: PriceNo) -> Option<&ArcSwapOption<Shown>> {
        self.shown.get(usize::from(price.0))
    }
}

impl Seat {
    /// The seat of a connection whose place in `core` is `number`, and the seats of its apps.
    pub(super) fn of(
        quotas: &Arc<Edition>,
        core: &Core,
        change: &Change<'_>,
        plan: &ConnectionPlan,
        number: ConnectionNo,
    ) -> Self {
        let most = change.prices.iter().map(|(number, _)| usize::from(number.0) + 1).max();
        let mut costs = vec![Cost::default(); most.unwrap_or(0)];
        for (number, cost) in &change.prices {
            costs[usize::from(number.0)] = (*cost).clone();
        }
        let member = core.members.by_number(number);
        let member = member.expect("the plan was just applied, and has this connection");
        let own = (member.own, &plan.settings.pool);
        let of = |cost| Policy::of(cost, own, &change.plan.named, &member.pools);
        let policies = costs.iter().map(of).collect();
        let numbers: HashMap<&AppId, AppNo> = core.members.apps_of(number).collect();
        let apps = change.plan.apps_of(&plan.id).map(|app| AppSeat {
            number: numbers[&app.app],
            shown: costs.iter().map(|_| ArcSwapOption::empty()).collect(),
        });
        Self { quotas: quotas.clone(), number, apps: apps.collect(), policies }
    }

    /// `RateLimit-Policy` and `RateLimit` (IETF draft "RateLimit header fields for HTTP"): the quotas,
    /// and what the app could do now under the one that binds first.
    fn rate_limit(&self, app: AppNo, price: PriceNo) -> Option<(HeaderValue, HeaderValue)> {
        let policy = self.policies.get(usize::from(price.0))?;
        let ids: Vec<PoolId> = policy.pools.iter().map(|(id, _)| *id).collect();
        let rooms = self.quotas.room(self.number, app, &ids);
        let known =
            policy.pools.iter().zip(rooms).filter_map(|((_, name), room)| Some((name, room?)));
        let (name, room) = known.min_by_key(|(_, room)| room.calls)?;
        let seconds = room.next.as_millis().div_ceil(1000);
        let limit = format!("\"{name}\";r={};t={seconds}", room.calls);
        Some((policy.text.clone(), HeaderValue::from_str(&limit).ok()?))
    }
}

impl Policy {
    /// What an operation pays: `own` is the connection's pool, `named` are the workspace's, whose
    /// numbers are `ids`.
    fn of(
        cost: &Cost,
        own: (PoolId, &PoolSettings),
        named: &[PoolSettings],
        ids: &BTreeMap<String, PoolId>,
    ) -> Self {
        let own = (cost.own > 0).then_some((own.0, CONNECTION_POOL, own.1));
        let others = named.iter().filter(|pool| cost.named.contains_key(&pool.name));
        let others =
            others.filter_map(|pool| Some((*ids.get(&pool.name)?, pool.name.as_str(), pool)));
        let mut pools = Vec::new();
        let mut items = Vec::new();
        for (id, name, pool) in own.into_iter().chain(others) {
            items.push(format!("\"{name}\";q={};w={}", pool.calls, pool.window.as_secs().max(1)));
            pools.push((id, name.into()));
        }
        let text = HeaderValue::from_str(&items.join(", "));
        Self { pools, text: text.expect("names of pools are visible ASCII") }
    }
}
