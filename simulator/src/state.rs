//! What one environment of one workspace holds.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::model::{Audience, Due, Job, List, Message, Release, Run};
use crate::table::Table;
use crate::time::Wall;

/// The data of one environment. It is plain data: a late write keeps a clone of what was before.
#[derive(Clone)]
pub(crate) struct State {
    /// Brands as published keys see them.
    pub(crate) brands: Table<Value>,
    /// Brands as draft keys see them.
    pub(crate) draft_brands: Table<Value>,
    /// Templates as published keys see them.
    pub(crate) notifications: Table<Value>,
    /// Templates as draft keys see them.
    pub(crate) draft_notifications: Table<Value>,
    /// Lists. Deleted ones stay, since a delete is soft.
    pub(crate) lists: Table<List>,
    /// Profiles: open JSON objects.
    pub(crate) profiles: Table<Value>,
    /// Audiences and their computed members.
    pub(crate) audiences: Table<Audience>,
    /// Members still to be computed, in order of time.
    pub(crate) due: VecDeque<(Wall, Due)>,
    /// Bulk jobs.
    pub(crate) jobs: Table<Job>,
    /// Messages. The oldest are dropped when it is full.
    pub(crate) messages: Table<Message>,
    /// Automation runs.
    pub(crate) runs: Table<Run>,
    /// Audit events. The oldest are dropped when it is full.
    pub(crate) audit: Table<Value>,
    /// Everything else: documents by decoded path.
    pub(crate) documents: BTreeMap<String, Value>,
    /// How often each collection was changed.
    pub(crate) versions: BTreeMap<String, u64>,
    /// The most rows of each collection.
    pub(crate) capacity: usize,
}

impl State {
    /// Creates an environment without data. Each collection holds at most `capacity` rows.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            brands: Table::new("brands"),
            draft_brands: Table::new("draft_brands"),
            notifications: Table::new("notifications"),
            draft_notifications: Table::new("draft_notifications"),
            lists: Table::new("lists"),
            profiles: Table::new("profiles"),
            audiences: Table::new("audiences"),
            due: VecDeque::new(),
            jobs: Table::new("bulk"),
            messages: Table::new("messages"),
            runs: Table::new("runs"),
            audit: Table::new("audit"),
            documents: BTreeMap::new(),
            versions: BTreeMap::new(),
            capacity,
        }
    }

    /// Brands as `release` sees them.
    pub(crate) const fn brands(&self, release: Release) -> &Table<Value> {
        match release {
            Release::Published => &self.brands,
            Release::Draft => &self.draft_brands,
        }
    }

    /// Templates as `release` sees them.
    pub(crate) const fn notifications(&self, release: Release) -> &Table<Value> {
        match release {
            Release::Published => &self.notifications,
            Release::Draft => &self.draft_notifications,
        }
    }

    /// Stores a message. Drops the oldest one if there are too many.
    pub(crate) fn keep_message(&mut self, id: &str, message: Message) {
        self.messages.insert(id, message);
        if self.messages.len() > self.capacity {
            self.messages.pop_oldest();
        }
    }

    /// Counts a change of each of these collections.
    pub(crate) fn grow_versions(&mut self, collections: &[String]) {
        for name in collections {
            *self.versions.entry(name.clone()).or_insert(0) += 1;
        }
    }

    /// `name=version` of each of these collections, joined by commas.
    pub(crate) fn versions_of(&self, collections: &[String]) -> String {
        let version = |name: &String| format!("{name}={}", self.versions.get(name).unwrap_or(&0));
        collections.iter().map(version).collect::<Vec<_>>().join(",")
    }
}
