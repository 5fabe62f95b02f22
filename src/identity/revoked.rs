//! Keys that were revoked before their time.
//!
//! A revocation is of an id and the hash that it had. So it holds for as long as the configuration
//! gives that id that hash, and ends by itself when the id gets another one. Sets are united and
//! never shrink: it does not matter in which order replicas hear of each other's.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use serde::{Deserialize, Serialize};

use super::Digest;
use crate::ids::KeyId;

/// One revoked key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The public part of the key.
    #[serde(serialize_with = "id")]
    pub key: KeyId,
    /// The beginning of its hash.
    pub print: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The operator's key.
    pub by: String,
    /// Why.
    pub because: String,
}

/// The revoked keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// An id may have had several hashes.
    by_id: HashMap<KeyId, Vec<Revocation>>,
}

/// Those of the moment. Clones share them, over reloads.
#[derive(Clone, Debug, Default)]
pub struct RevokedKeys(Arc<ArcSwap<Revoked>>);

fn id<S: serde::Serializer>(id: &KeyId, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(id.as_str())
}

impl Revocation {
    /// The one of two for the same key that all replicas keep: the first.
    fn order(&self, other: &Self) -> Ordering {
        let (at, by) = (self.at_ms.cmp(&other.at_ms), self.by.cmp(&other.by));
        at.then(by).then_with(|| self.because.cmp(&other.because))
    }
}

impl Revoked {
    /// The revocation of the key with this id and this hash.
    #[must_use]
    pub fn of(&self, id: &KeyId, sha256: &Digest) -> Option<&Revocation> {
        // Mostly there is none: nothing is written out then.
        let known = self.by_id.get(id)?;
        let print = sha256.print();
        known.iter().find(|known| known.print == print)
    }

    /// This with `others`; `None` if they change nothing.
    #[must_use]
    pub fn with(&self, others: impl IntoIterator<Item = Revocation>) -> Option<Self> {
        let mut all = self.clone();
        let changes = others.into_iter().filter(|other| all.add(other)).count();
        (changes > 0).then_some(all)
    }

    fn add(&mut self, new: &Revocation) -> bool {
        let known = self.by_id.entry(new.key.clone()).or_default();
        match known.iter_mut().find(|known| known.print == new.print) {
            Some(known) if new.order(known) == Ordering::Less => *known = new.clone(),
            Some(_) => return false,
            None => known.push(new.clone()),
        }
        true
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<&Revocation> {
        let mut all: Vec<_> = self.by_id.values().flatten().collect();
        all.sort_by(|one, other| {
            let key = one.key.as_str().cmp(other.key.as_str());
            one.order(other).then(key).then_with(|| one.print.cmp(&other.print))
        });
        all
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.values().map(Vec::len).sum()
    }
}

impl RevokedKeys {
    /// As they are now.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Revoked>> {
        self.0.load()
    }

    /// Adds `others`; false if that changes nothing.
    pub fn add(&self, others: &[Revocation]) -> bool {
        let mut changed = false;
        self.0.rcu(|now| {
            let then = now.with(others.iter().cloned());
            changed = then.is_some();
            then.map_or_else(|| now.clone(), Arc::new)
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn revocation() -> impl Strategy<Value = Revocation> {
        ("[ab]", "[01]", 0..3_u64, "[xy]").prop_map(|(key, print, at_ms, by)| Revocation {
            key: KeyId::try_from(key).unwrap(),
            print,
            at_ms,
            by,
            because: String::new(),
        })
    }

    fn set(all: &[Revocation]) -> Revoked {
        Revoked::default().with(all.to_vec()).unwrap_or_default()
    }

    fn list(set: &Revoked) -> Vec<Revocation> {
        set.all().into_iter().cloned().collect()
    }

    proptest! {
        #[test]
        fn replicas_that_heard_the_same_agree_whatever_came_first(
            mut all in prop::collection::vec(revocation(), 0..12),
            cut in 0..12_usize,
        ) {
            let whole = set(&all);
            let (one, two) = all.split_at(cut.min(all.len()));
            let (one, two) = (set(one), set(two));
            let united = |to: &Revoked, from: &Revoked| {
                to.with(from.all().into_iter().cloned()).unwrap_or_else(|| to.clone())
            };
            prop_assert_eq!(list(&united(&one, &two)), list(&whole));
            prop_assert_eq!(list(&united(&two, &one)), list(&whole));
            all.reverse();
            prop_assert_eq!(list(&set(&all)), list(&whole));
            prop_assert!(whole.with(all).is_none(), "what is known changes nothing");
            prop_assert_eq!(whole.count(), whole.all().len());
        }

        #[test]
        fn what_was_revoked_stays_so_whatever_is_heard_later(
            first in revocation(),
            later in prop::collection::vec(revocation(), 0..12),
        ) {
            let keys = RevokedKeys::default();
            prop_assert!(keys.add(std::slice::from_ref(&first)));
            keys.add(&later);
            let now = keys.load();
            let same = |it: &&Revocation| it.key == first.key && it.print == first.print;
            prop_assert_eq!(now.all().into_iter().filter(same).count(), 1);
        }
    }
}
