//! A list and its subscriptions.

use serde_json::{Value, json};

use crate::table::Table;
use crate::time::Wall;

/// One list.
#[derive(Clone)]
pub(crate) struct List {
    /// The name.
    pub(crate) name: String,
    /// Preferences for all subscribers, as written.
    pub(crate) preferences: Option<Value>,
    /// When it was made.
    pub(crate) created: Wall,
    /// When it was last put, restored or deleted.
    pub(crate) updated: Wall,
    /// Whether it is (softly) deleted.
    pub(crate) deleted: bool,
    /// Subscriptions by user.
    pub(crate) subscribers: Table<Subscription>,
}

/// One subscription.
#[derive(Clone)]
pub(crate) struct Subscription {
    /// When it was made.
    pub(crate) created: Wall,
    /// Preferences, as written.
    pub(crate) preferences: Option<Value>,
}

impl List {
    /// A list without subscribers, made at `wall`.
    pub(crate) fn new(name: String, wall: Wall) -> Self {
        Self {
            name,
            preferences: None,
            created: wall,
            updated: wall,
            deleted: false,
            subscribers: Table::new("subscriptions"),
        }
    }

    /// The list as the API shows it.
    pub(crate) fn view(&self, id: &str) -> Value {
        let mut v = json!({ "id": id, "name": self.name, "created": self.created.iso(), "updated": self.updated.iso() });
        if let Some(p) = &self.preferences {
            v["preferences"] = p.clone();
        }
        v
    }
}
