//! Asks the ledgers that lend the slots of a tenant's pools, each when that is due.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::lending::{LedgerError, Lending};
use super::quotas::{Core, Quotas};
use crate::ids::RandomId;
use crate::quota::replica::SyncReply;
use crate::quota::{LoanState, PoolId};

/// Begins to ask for `quotas`. Must be called inside the runtime.
pub(super) fn start(quotas: &Arc<Quotas>, lending: &Arc<Lending>) {
    let kept = keep_lent(Arc::downgrade(quotas), lending.clone(), quotas.sync_news());
    quotas.keeps(tokio::spawn(kept).abort_handle());
}

/// Asks the ledgers of one tenant's pools when that is due, as long as they are there.
async fn keep_lent(quotas: Weak<Quotas>, lending: Arc<Lending>, news: Arc<Notify>) {
    while let Some(next) = quotas.upgrade().map(|quotas| quotas.next_sync()) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = news.notified() => {}
        }
        let Some(strong) = quotas.upgrade() else { return };
        while let Some(pool) = strong.with(|core, now| core.quota.due_sync(now)) {
            tokio::spawn(ask(quotas.clone(), lending.clone(), pool));
        }
    }
}

/// Asks the ledger of one pool, once.
async fn ask(quotas: Weak<Quotas>, lending: Arc<Lending>, pool: PoolId) {
    let reply = exchange(&quotas, &lending, pool).await;
    if let Err(error) = &reply {
        tracing::debug!(%error, "a ledger was not asked");
    }
    let Some(quotas) = quotas.upgrade() else { return };
    let reply = reply.ok().flatten();
    quotas.with(|core, now| {
        let before = core.quota.loan(pool);
        core.quota.end_sync(pool, reply.as_ref(), fastrand::f64(), now);
        core.say_loan(pool, before);
    });
}

async fn exchange(
    quotas: &Weak<Quotas>,
    lending: &Lending,
    pool: PoolId,
) -> Result<Option<SyncReply>, LedgerError> {
    let look = |quotas: Arc<Quotas>| quotas.with(|core, _| core.ledgers.get(&pool).cloned());
    let Some(mut place) = quotas.upgrade().and_then(look) else { return Ok(None) };
    let known = lending.sighting(0).await?;
    let name = lending.names.find(&mut place, known.incarnation()).await?;
    let sighting = lending.sighting(lending.group(&name.text)).await?;
    let begin = |core: &mut Core, now| {
        core.quota.set_block(pool, name.block);
        if let Some(known) = core.ledgers.get_mut(&pool) {
            known.learns(&place);
        }
        core.quota.begin_sync(pool, &sighting, RandomId::new().to_string(), now)
    };
    let Some(request) = quotas.upgrade().and_then(|quotas| quotas.with(begin)) else {
        return Ok(None);
    };
    Ok(Some(lending.sync(&name.text, &request).await?))
}

impl Core {
    /// Says when a pool can't be used any more, and when it can again.
    fn say_loan(&self, pool: PoolId, before: Option<LoanState>) {
        let after = self.quota.loan(pool);
        let away = |state| state == Some(LoanState::Away);
        if away(before) == away(after) {
            return;
        }
        let owner = self.members.list.iter().find(|member| member.own == pool);
        let connection = owner.map(|member| member.id.as_str());
        let pool = self.quota.pools().get(pool).map_or("", |pool| &pool.name);
        if away(after) {
            tracing::warn!(
                connection,
                pool,
                "the shared store does not answer: slots of this quota can't be used"
            );
        } else {
            tracing::info!(connection, pool, "slots of this quota can be used again");
        }
    }
}

impl Quotas {
    /// Gives everything back; true when all is back.
    pub(super) fn leave(&self) -> bool {
        self.with(|core, now| core.quota.leave_ledgers(now))
    }
}
