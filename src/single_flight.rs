//! Calls for the same thing: the first leads, the others follow until it is over.
//!
//! What the leader learned is handed to all; a leader that ends without a word leaves its followers
//! to look for themselves. Keys and followers are bounded by those who wait, who are bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Who is under way, by key. Clones share it.
pub struct Crowd<K, T> {
    /// std, not tokio: each section is one map operation and never awaits.
    leaders: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
}

/// One's part in a crowd.
pub enum Role<K: Eq + Hash + Clone, T> {
    /// Nobody was under way: do it, then say how it went.
    Leads(Lead<K, T>),
    /// Somebody is: wait.
    Follows(Follow<T>),
}

/// The right and the duty to do it.
pub struct Lead<K: Eq + Hash + Clone, T> {
    crowd: Crowd<K, T>,
    key: K,
    sender: watch::Sender<Option<T>>,
    /// Nobody joins any more: whoever asks for the key now leads.
    closed: bool,
}

/// Waits for a leader.
pub struct Follow<T>(watch::Receiver<Option<T>>);

impl<K, T> Clone for Crowd<K, T> {
    fn clone(&self) -> Self {
        Self { leaders: self.leaders.clone() }
    }
}

impl<K, T> Default for Crowd<K, T> {
    fn default() -> Self {
        Self { leaders: Arc::default() }
    }
}

impl<K: Eq + Hash + Clone, T: Clone> Crowd<K, T> {
    /// Joins those who are under way for `key`, or leads.
    #[must_use]
    pub fn join(&self, key: K) -> Role<K, T> {
        let mut leaders = self.leaders();
        if let Some(leader) = leaders.get(&key) {
            return Role::Follows(Follow(leader.clone()));
        }
        let (sender, receiver) = watch::channel(None);
        leaders.insert(key.clone(), receiver);
        Role::Leads(Lead { crowd: self.clone(), key, sender, closed: false })
    }
}

impl<K: Eq + Hash, T> Crowd<K, T> {
    /// How many lead.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leaders().len()
    }

    /// True when nobody is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaders().is_empty()
    }

    fn leaders(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<T>>>> {
        self.leaders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, T> Lead<K, T> {
    /// What it is about.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// From now on those who join lead again. True if somebody follows this one.
    #[must_use]
    pub fn closes_followed(&mut self) -> bool {
        self.close();
        self.sender.receiver_count() > 0
    }

    fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.crowd.leaders().remove(&self.key);
        }
    }

    /// It is over: those who join from now on lead again; those who follow get `outcome`.
    pub fn finish(mut self, outcome: T) {
        self.close();
        self.sender.send_replace(Some(outcome));
    }
}

impl<K: Eq + Hash + Clone, T> Drop for Lead<K, T> {
    /// Without an outcome: followers see the channel close.
    fn drop(&mut self) {
        self.close();
    }
}

impl<T: Clone> Follow<T> {
    /// What the leader learned; `None` when it ended without a word.
    pub async fn outcome(mut self) -> Option<T> {
        let told = self.0.wait_for(Option::is_some).await.ok()?;
        told.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(crowd: &Crowd<u8, u32>) -> Lead<u8, u32> {
        match crowd.join(1) {
            Role::Leads(lead) => lead,
            Role::Follows(_) => panic!("somebody leads already"),
        }
    }

    fn follow(crowd: &Crowd<u8, u32>) -> Follow<u32> {
        match crowd.join(1) {
            Role::Leads(_) => panic!("nobody leads"),
            Role::Follows(follow) => follow,
        }
    }

    #[tokio::test]
    async fn one_leads_and_all_others_get_what_it_learned() {
        let crowd = Crowd::default();
        let leader = lead(&crowd);
        let followers: Vec<_> = (0..100).map(|_| follow(&crowd)).collect();
        leader.finish(7);
        for follower in followers {
            assert_eq!(follower.outcome().await, Some(7));
        }
        assert!(crowd.is_empty());
        lead(&crowd).finish(8);
    }

    #[tokio::test]
    async fn a_leader_that_closes_knows_whether_it_has_followers_and_gets_no_further_one() {
        let crowd = Crowd::default();
        let mut alone = lead(&crowd);
        assert!(!alone.closes_followed());
        let mut second = lead(&crowd);
        alone.finish(7);
        let follower = follow(&crowd);
        assert!(second.closes_followed());
        let third = lead(&crowd);
        second.finish(8);
        assert_eq!(follower.outcome().await, Some(8));
        drop(third);
        assert!(crowd.is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_ends_without_a_word_frees_its_followers_and_its_place() {
        let crowd = Crowd::default();
        let leader = lead(&crowd);
        let follower = follow(&crowd);
        drop(leader);
        assert_eq!(follower.outcome().await, None);
        assert!(matches!(crowd.join(1), Role::Leads(_)));
    }
}
