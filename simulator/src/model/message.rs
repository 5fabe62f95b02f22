//! One message, and how the API shows it at a given time.

use serde_json::{Value, json};

use super::fate::Fate;
use crate::time::Wall;

/// One message.
#[derive(Clone)]
pub(crate) struct Message {
    /// The request that made it. With one recipient it equals the message's id.
    pub(crate) request: String,
    /// The recipient: a user id or an address.
    pub(crate) recipient: String,
    /// The list it was sent to.
    pub(crate) list: Option<String>,
    /// The content of the send, as sent: template, event, content, metadata.
    pub(crate) ask: Value,
    /// `email`, `sms` or `direct_message`, and the provider behind it.
    pub(crate) channel: (&'static str, &'static str),
    /// When it was accepted. For a delayed automation step this lies in the future. Nobody sees the
    /// message before.
    pub(crate) enqueued: Wall,
    /// When it is processed. It is later than `enqueued` if the send asked for a delay.
    pub(crate) due: Wall,
    /// How it will end.
    pub(crate) fate: Fate,
    /// When it was cancelled.
    pub(crate) canceled: Option<Wall>,
    /// Whether its request was archived.
    pub(crate) archived: bool,
    /// The cancelation token of the automation, if a step sent it.
    pub(crate) token: Option<String>,
}

impl Message {
    /// Type and time of each step, in order of time. A cancel ends the list.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&'static str, Wall)> + use<> {
        let (enqueued, due, end) = (self.enqueued, self.due, self.canceled);
        let at = move |ms: u64| if ms == 0 { enqueued } else { due.plus_ms(ms) };
        let planned = self.fate.steps().map(move |(kind, ms)| (kind, at(ms)));
        planned
            .filter(move |(_, at)| end.is_none_or(|end| *at < end || *at == enqueued))
            .chain(end.map(|end| ("CANCELED", end)))
    }

    /// The status at `wall`.
    pub(crate) fn status(&self, wall: Wall) -> &'static str {
        self.steps().take_while(|(_, at)| *at <= wall).last().map_or("ENQUEUED", |(kind, _)| {
            match kind {
                "ENQUEUED" if self.due > wall && self.due > self.enqueued => "DELAYED",
                "MAPPED" | "PROFILE_LOADED" | "FILTERED" => "ENQUEUED",
                "RENDERED" => "ROUTED",
                other => other,
            }
        })
    }

    /// A text of the ask.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.ask.get(name).and_then(Value::as_str)
    }

    /// The event, or the template that stands for it.
    pub(crate) fn event(&self) -> &str {
        self.text("event").or_else(|| self.text("template")).unwrap_or_default()
    }

    /// The template, or the event that stands for it.
    pub(crate) fn notification(&self) -> &str {
        self.text("template").or_else(|| self.text("event")).unwrap_or_default()
    }

    /// The tags of the ask.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.ask
            .pointer("/metadata/tags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// What a listing shows.
    pub(crate) fn summary(&self, id: &str, wall: Wall) -> Value {
        let mut v = json!({ "id": id, "status": self.status(wall), "recipient": self.recipient, "enqueued": self.enqueued.0 });
        // Both are never absent (PY). A send with its own content has neither, so they are empty.
        v["event"] = json!(self.event());
        v["notification"] = json!(self.notification());
        if let Some(list) = &self.list {
            v["listId"] = json!(list);
        }
        let tags: Vec<&str> = self.tags().collect();
        if !tags.is_empty() {
            v["tags"] = json!(tags);
        }
        for (kind, at) in self.steps().take_while(|(_, at)| *at <= wall) {
            match kind {
                "SENT" => v["sent"] = json!(at.0),
                "DELIVERED" => v["delivered"] = json!(at.0),
                "OPENED" => v["opened"] = json!(at.0),
                "CLICKED" => v["clicked"] = json!(at.0),
                _ => {}
            }
        }
        if let Some(why) = self.fate.error() {
            v["error"] = json!(why);
        }
        v
    }

    /// What GET /messages/{id} shows.
    pub(crate) fn detail(&self, id: &str, wall: Wall) -> Value {
        let mut v = self.summary(id, wall);
        if !v["sent"].is_null() {
            v["providers"] =
                json!([{ "provider": self.channel.1, "status": v["status"], "sent": v["sent"] }]);
        }
        v
    }
}
