//! A reload that somebody asks for at the admin port: whoever holds the gateway does it.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::State;

/// How a reload ended: warnings, or the problems for which nothing was changed.
type Ended = Result<Vec<String>, Vec<String>>;

/// An order, to be answered.
pub type ReloadOrder = oneshot::Sender<Ended>;

/// Orders that wait; the next one is refused while one does.
pub(super) struct Reloads {
    orders: mpsc::Sender<ReloadOrder>,
    /// std, not tokio: taken once.
    waiting: Mutex<Option<mpsc::Receiver<ReloadOrder>>>,
}

impl Default for Reloads {
    fn default() -> Self {
        let (orders, waiting) = mpsc::channel(1);
        Self { orders, waiting: Mutex::new(Some(waiting)) }
    }
}

impl State {
    /// The orders, for whoever reloads; `None` if somebody has them already.
    #[must_use]
    pub fn reload_orders(&self) -> Option<mpsc::Receiver<ReloadOrder>> {
        self.0.reloads.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the configuration read again. `None`: nobody does that here, or one waits already.
    pub async fn reload(&self) -> Option<Ended> {
        let reloads = &self.0.reloads;
        let nobody = reloads.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if nobody {
            return None;
        }
        let (order, ended) = oneshot::channel();
        reloads.orders.try_send(order).ok()?;
        ended.await.ok()
    }
}
