//! The layer on a clock that stands still.

mod closes;
mod waits;

use http::Method;
use tokio::time::{advance, sleep, timeout};
use tower::{Layer, Service};

use super::*;
use crate::admission::Admission;
use crate::admission::testing::{desk, plan, quota, slots};
use crate::call::testing::{self, Leaf, now, reply, text};
use crate::error::{Code, Outcome};
use crate::quota::{ConnectionSettings, Mode, QuotaRule};

/// A slot rests for the window and a guard of 50 ms.
const REST: Duration = Duration::from_millis(10_050);

/// More than a timer is late.
const LATE: Duration = Duration::from_millis(10);

struct World {
    layer: Staged<Admit, Leaf<AdmittedCall>>,
    vendor: Leaf<AdmittedCall>,
    admission: Admission,
}

/// A world with this quota whose vendor answers its n-th call in this way.
fn world(
    settings: ConnectionSettings,
    answer: impl Fn(AdmittedCall, u32) -> BoxFuture + Send + Sync + 'static,
) -> World {
    let (admission, desk) = desk(settings);
    let vendor = Leaf::new(answer);
    World { layer: Admit::layer(desk).layer(vendor.clone()), vendor, admission }
}

/// A world with this quota whose vendor answers at once.
fn prompt(settings: ConnectionSettings) -> World {
    world(settings, |call, _| {
        call.sending();
        now(Ok(reply(200, "it")))
    })
}

impl World {
    async fn ask(&self, call: BufferedCall) -> Result {
        self.layer.clone().call(Attempt::first(Arc::new(call))).await
    }

    fn slots(&self) -> (u32, u32, u32) {
        slots(&self.admission)
    }
}

fn get() -> BufferedCall {
    testing::buffered(Method::GET, "/brands")
}
