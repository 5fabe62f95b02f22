//! Looks for tokens that were replaced in their files, so that no call has to be refused first.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use tokio::time::sleep;

use super::vault::Vault;
use crate::numbers::ConnectionIx;
use crate::secret::Stamp;

/// Between two looks. A new token is used after two, which leaves some of the two seconds that are
/// promised.
const EVERY: Duration = Duration::from_millis(900);

/// The version of a file; nothing for one that is not there.
type Look = Option<Stamp>;

/// What was seen of one file.
#[derive(Default)]
struct Seen {
    last: Option<Look>,
    read: Option<Look>,
}

/// Takes new tokens over for as long as `vault` is in use.
pub(super) async fn watch(vault: Weak<Vault>) {
    let mut seen: HashMap<ConnectionIx, Seen> = HashMap::new();
    loop {
        sleep(EVERY).await;
        let Some(vault) = vault.upgrade() else { return };
        let looking = vault.clone();
        // Small files, on whatever they lie.
        let Ok(stamps) = tokio::task::spawn_blocking(move || looking.stamps()).await else {
            return;
        };
        for (connection, stamp) in stamps {
            if seen.entry(connection).or_default().stands_still(stamp) {
                vault.clone().look_again(connection).await;
            }
        }
    }
}

// === impl Seen ===

impl Seen {
    /// Whether the file is to be read now: it is not what was read last, and nobody is writing it.
    fn stands_still(&mut self, stamp: Look) -> bool {
        let stands = self.last.replace(stamp) == Some(stamp);
        stands && self.read.replace(stamp) != Some(stamp)
    }
}
