//! Where a call stands: its quotas, connection, app and price, for one configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;

use super::pass::Pass;
use super::pauses::Pauses;
use super::plan::{AdmissionPlan, ConnectionQuotaPlan, Cost};
use super::quotas::{AppPools, Core, Edition, Tightest};
use super::reshape::Change;
use super::turn::Entered;
use super::view::AppQuotaView;
use crate::call::{Attempt, BufferedCall, Caller, RateLimit};
use crate::catalog::{CONNECTION_POOL, Lane, Operation};
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::identity::AppConnection;
use crate::ids::AppId;
use crate::numbers::{AppIx, ConnectionIx, OperationIx, Table};
use crate::quota::{
    AdmissionRequest, AppNo, ConnectionNo, PoolId, PoolSettings, PriceNo, QueuePosition,
    QuotaRefusal, QuotaRule, QuotaUsage,
};
use crate::record::Stood;

/// How old the figures may be that come with an answer that cost no quota.
const LATELY: Duration = Duration::from_millis(100);

/// Lets calls of one configuration in.
pub struct Desk {
    prices: Table<OperationIx, PriceNo>,
    seats: Table<ConnectionIx, Seat>,
    pauses: Pauses,
}

/// An app on one of its connections.
struct AppSeat {
    number: AppNo,
    /// By price: what the app was told last.
    shown: Box<[ArcSwapOption<Shown>]>,
}

/// What an app was told of its quotas.
struct Shown {
    at: Instant,
    rate_limit: RateLimit,
}

/// A connection in its quotas.
pub(super) struct Seat {
    quotas: Arc<Edition>,
    number: ConnectionNo,
    /// Its own pool.
    own: PoolId,
    apps: Table<AppIx, AppSeat>,
    /// By price: the pools that are paid, with the names that callers know.
    policies: Vec<Policy>,
}

/// What the operations of one price are bound by.
struct Policy {
    ids: Vec<PoolId>,
    /// The names of `ids`.
    names: Vec<Arc<str>>,
    /// The field `RateLimit-Policy`. An operator's change makes it anew.
    text: ArcSwap<HeaderValue>,
    /// What it says of each pool: calls, and seconds.
    sizes: Vec<(u32, u64)>,
}

/// Where one call stands.
struct CallPlace<'a> {
    seat: &'a Seat,
    app: &'a AppSeat,
    price: PriceNo,
}

/// The turn of one call, now or later.
pub struct Turn(Entered);

impl Turn {
    /// Where the call stands, if it has to wait.
    #[must_use]
    pub fn standing(&self) -> Option<QueuePosition> {
        match &self.0 {
            Entered::Let(_) => None,
            Entered::Waits(_, standing) => Some(*standing),
        }
    }

    /// Waits for it.
    ///
    /// # Errors
    /// The refusal, if the call can't start in time after all.
    pub async fn come(self) -> std::result::Result<Pass, QuotaRefusal> {
        match self.0 {
            Entered::Let(pass) => Ok(pass),
            Entered::Waits(waiter, _) => waiter.turn().await,
        }
    }
}

impl Desk {
    /// The connections of `seats`, whose operations have `prices`.
    pub(super) fn new(
        prices: Table<OperationIx, PriceNo>,
        seats: Table<ConnectionIx, Seat>,
        pauses: Pauses,
    ) -> Self {
        Self { prices, seats, pauses }
    }

    /// Whether `call` would be refused now, and what its app may do: to be asked before its body is
    /// read. A call that goes back to its line came there first at `back_since`.
    pub fn preview(
        &self,
        call: &BufferedCall,
        back_since: Option<Instant>,
    ) -> (std::result::Result<(), QuotaRefusal>, Option<RateLimit>) {
        let place = self.place(&call.caller, &call.operation);
        let ticket = |usual| place.ticket(call, usual);
        let known = place.known();
        let pools = AppPools { asks_room: known.is_none(), ..place.pools() };
        let (answer, room) = place.seat.quotas.preview(&pools, ticket, back_since);
        (answer, place.shows(room).or(known))
    }

    /// Lets `call` in, now or when its turn comes, or refuses it; says what its app may do after
    /// a refusal, and about what it may do else: an answer of the vendor's will say it exactly.
    pub fn enter(
        &self,
        call: &Attempt,
    ) -> (std::result::Result<Turn, QuotaRefusal>, Option<RateLimit>) {
        let place = self.place(&call.caller, &call.operation);
        let ticket = |usual| place.ticket(call, usual);
        let known = place.known();
        let pools = AppPools { asks_room: known.is_none(), ..place.pools() };
        let (entry, room) = place.seat.quotas.enter(&pools, ticket, call.back_since);
        (entry.map(Turn), place.shows(room).or(known))
    }

    /// Accounts for the slots of `call` and says what its app may do after it. Without an answer
    /// the pass knows whether its attempt was sent.
    pub fn settle(&self, call: &BufferedCall, pass: Pass, answered: bool) -> Option<RateLimit> {
        let place = self.place(&call.caller, &call.operation);
        place.shows(pass.ends(answered, &place.pools()))
    }

    /// Where a call that can't start at once stands, with the name of the pool that it waits for.
    #[must_use]
    pub fn stood(&self, call: &BufferedCall, standing: Option<QueuePosition>) -> Option<Stood> {
        let standing = standing?;
        let (seat, price) = (&self.seats[call.caller.ix], self.prices[call.operation.ix]);
        let policy = seat.policies.get(usize::from(price.0));
        let pool = standing.bound.pool().zip(policy).and_then(|(bound, policy)| {
            let known = policy.ids.iter().position(|id| *id == bound);
            known.map(|at| policy.names[at].clone())
        });
        Some(Stood { standing, pool })
    }

    /// What `app` could do now on a connection.
    #[must_use]
    pub fn outlook(&self, connection: &AppConnection, app: &AppId) -> Option<AppQuotaView> {
        let seat = &self.seats[connection.ix];
        let preview = seat.quotas.app_preview(seat.number, seat.apps[connection.app].number)?;
        Some(AppQuotaView::of(&connection.id, app, &preview))
    }

    /// What the app may do now, for a call that may cost nothing: what was told within the last 100
    /// ms is told again, so that copies are handed out without a look at the quota.
    #[must_use]
    pub fn lately(&self, caller: &Caller, operation: &Operation) -> Option<RateLimit> {
        self.place(caller, operation).lately()
    }

    /// The refusal of `call` as its answer: 429 (403 for a paused app) with a true time to come
    /// back.
    #[must_use]
    pub fn refused(&self, call: &BufferedCall, refusal: &QuotaRefusal) -> Error {
        let pool = self.stood(call, refusal.standing).and_then(|stood| stood.pool);
        let QuotaUsage { calls, window, held, own } = refusal.usage;
        let used = match pool.filter(|pool| **pool != *CONNECTION_POOL) {
            Some(name) => format!("the quota '{name}' of this operation has no room"),
            None => format!(
                "{held} of {calls} calls in {} s are used, {own} of them by this app",
                window.as_secs_f64()
            ),
        };
        let (code, what) = match refusal.rule {
            QuotaRule::QuotaExhausted => {
                let what = "the connection's quota is used up for longer than a call may wait";
                (Code::QuotaExhausted, format!("{what}: {used}"))
            }
            QuotaRule::QueueFull => {
                (Code::QueueFull, format!("as many calls wait already as may: {used}"))
            }
            QuotaRule::DeadlineTooNear => {
                let what = "the quota has no room before the caller's own deadline";
                (Code::DeadlineTooNear, format!("{what}: {used}"))
            }
            QuotaRule::VendorThrottled => {
                let what = "Courier asked for a pause that is not over yet";
                (Code::VendorThrottled, what.to_owned())
            }
            QuotaRule::AppLimited => {
                (Code::AppLimited, "the app's own limit is reached".to_owned())
            }
            QuotaRule::LedgerAway => {
                let detail = "the replicas' Redis does not answer, and the slots that it lent may be used no longer";
                return Error::refused(Code::LedgerAway, detail).with_retry_after(refusal.after);
            }
            QuotaRule::AppPaused => {
                let paused = || Error::refused(Code::AppPaused, "an operator has paused this app");
                let known = self.pauses.refusal(&call.caller, &call.operation);
                return known.unwrap_or_else(|| paused().with_retry_after(refusal.after));
            }
        };
        let (seconds, id) = (refusal.seconds(), &call.record.call_id);
        let detail =
            format!("{what}; a place is likely in {seconds} s; why: GET /.tollgate/me?call={id}");
        Error::refused(code, detail).with_retry_after(refusal.after)
    }

    /// Callers are told the limits of `plan`, which has the connections of this desk.
    pub fn relabel(&self, plan: &AdmissionPlan) {
        for ((_, seat), (_, connection)) in self.seats.iter().zip(plan.connections()) {
            let own = (seat.own, connection.settings.pool.calls);
            seat.policies.iter().for_each(|policy| policy.relabel(own.0, own.1));
        }
    }

    fn place(&self, caller: &Caller, operation: &Operation) -> CallPlace<'_> {
        let seat = &self.seats[caller.ix];
        CallPlace { seat, app: &seat.apps[caller.app_ix], price: self.prices[operation.ix] }
    }
}

impl CallPlace<'_> {
    fn pools(&self) -> AppPools<'_> {
        let pools = self.policy().map_or(&[][..], |policy| &policy.ids);
        let (connection, app) = (self.seat.number, self.app.number);
        AppPools { connection, app, pools, asks_room: true }
    }

    fn policy(&self) -> Option<&Policy> {
        self.seat.policies.get(usize::from(self.price.0))
    }

    fn last(&self) -> Option<&ArcSwapOption<Shown>> {
        self.app.shown.get(usize::from(self.price.0))
    }

    /// What the app was told just now.
    fn known(&self) -> Option<RateLimit> {
        let shown = self.last()?.load();
        let shown = shown.as_ref().filter(|shown| shown.at.elapsed() < LATELY)?;
        Some(shown.rate_limit.clone())
    }

    /// The same, or what it may do now.
    fn lately(&self) -> Option<RateLimit> {
        let pools = self.pools();
        self.known().or_else(|| match pools.pools {
            [] => None,
            _ => self.shows(self.seat.quotas.room(&pools)),
        })
    }

    /// What is asked for `call`, to which the vendor usually takes so long.
    fn ticket(&self, call: &BufferedCall, usual: Duration) -> AdmissionRequest {
        let useful = call.deadline.checked_sub(usual).unwrap_or(call.deadline);
        let preferred = call.wait_until.filter(|wait| *wait <= useful);
        AdmissionRequest {
            connection: self.seat.number,
            app: self.app.number,
            price: self.price,
            bulk: call.operation.lane == Some(Lane::Bulk),
            latest: self.seat.quotas.moment_of(preferred.unwrap_or(useful)),
            by_caller: preferred.is_some() || call.own_deadline,
            asked: call.wait_until.is_some(),
        }
    }

    /// What the app could do now under the quota that binds first; it is remembered.
    fn shows(&self, tightest: Option<Tightest>) -> Option<RateLimit> {
        let (policy, Tightest { at, room }) = (self.policy()?, tightest?);
        let seconds = u64::try_from(room.next.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        let (text, pool) = (HeaderValue::clone(&policy.text.load()), policy.names.get(at)?.clone());
        let rate_limit = RateLimit { policy: text, pool, left: room.calls, seconds };
        if let Some(last) = self.last() {
            let shown = Shown { at: Instant::now(), rate_limit: rate_limit.clone() };
            last.store(Some(Arc::new(shown)));
        }
        Some(rate_limit)
    }
}

impl Seat {
    /// The seat of a connection whose place in `core` is `number`, and the seats of its apps.
    pub(super) fn of(
        quotas: &Arc<Edition>,
        core: &Core,
        change: &Change<'_>,
        plan: &ConnectionQuotaPlan,
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
        let numbers = &core.members.apps[&number];
        let apps = change.apps_of(&plan.id).iter().map(|app| AppSeat {
            number: numbers[&app.app].number,
            shown: costs.iter().map(|_| ArcSwapOption::empty()).collect(),
        });
        Self { quotas: quotas.clone(), number, own: own.0, apps: apps.collect(), policies }
    }
}

impl Policy {
    /// What an operation pays: `own` is the connection's pool, `named` are the workspace's, whose
    /// numbers are `numbers`.
    fn of(
        cost: &Cost,
        own: (PoolId, &PoolSettings),
        named: &[PoolSettings],
        numbers: &BTreeMap<String, PoolId>,
    ) -> Self {
        let own = (cost.own > 0).then_some((own.0, CONNECTION_POOL, own.1));
        let others = named.iter().filter(|pool| cost.named.contains_key(&pool.name));
        let others =
            others.filter_map(|pool| Some((*numbers.get(&pool.name)?, pool.name.as_str(), pool)));
        let (mut ids, mut names, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for (id, name, pool) in own.into_iter().chain(others) {
            sizes.push((pool.calls, pool.window.as_secs().max(1)));
            ids.push(id);
            names.push(name.into());
        }
        let text = ArcSwap::from_pointee(text(&names, &sizes));
        Self { ids, names, text, sizes }
    }

    /// The pool `own` has so many calls from now on.
    fn relabel(&self, own: PoolId, calls: u32) {
        let sizes = self.ids.iter().zip(&self.sizes);
        let sizes: Vec<_> = sizes
            .map(|(id, (before, window))| (if *id == own { calls } else { *before }, *window))
            .collect();
        self.text.store(Arc::new(text(&self.names, &sizes)));
    }
}

/// `RateLimit-Policy` of pools with these names, calls and seconds.
fn text(names: &[Arc<str>], sizes: &[(u32, u64)]) -> HeaderValue {
    let items = names.iter().zip(sizes);
    let items: Vec<String> =
        items.map(|(name, (calls, window))| format!("\"{name}\";q={calls};w={window}")).collect();
    HeaderValue::from_str(&items.join(", ")).expect("names of pools are visible ASCII")
}
