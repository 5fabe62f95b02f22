//! What `top` shows and what is typed into it, without terminal and network.

use serde_json::json;

use super::keys::KeyPress;
use crate::cli::acts::{making, time};
use crate::cli::admin::Question;
use crate::cli::documents::{Seen, SeenApp, SeenConnection};
use crate::cli::overrides::ending;
use crate::cli::text::clean;

/// The state of the screen.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The port that is asked.
    pub(super) at: String,
    /// The last answer.
    pub(super) seen: Option<Seen>,
    /// Why there is no newer one.
    pub(super) trouble: Option<String>,
    pub(super) order: Order,
    pub(super) selected: Option<Selected>,
    pub(super) entry: Option<Prompt>,
    pub(super) help: bool,
    /// How the last order ended.
    pub(super) said: String,
}

/// By what connections and apps are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Waiting,
    Rate,
    Slots,
}

/// An app on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) connection: String,
    pub(super) tenant: String,
    pub(super) app: String,
}

/// What is being typed for the pause of an app.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) of: Selected,
    /// The time, once it is known.
    pub(super) lasts: Option<String>,
    pub(super) text: String,
}

/// What a key asks for.
pub(super) enum Wish {
    Quit,
    Send(Question),
}

/// The longest text that can be typed.
const LONGEST: usize = 200;

impl Order {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Rate => "rate",
            Self::Slots => "slots",
        }
    }

    fn of_connection(self, it: &SeenConnection) -> u64 {
        match self {
            Self::Waiting => it.all_waiting(),
            Self::Rate => thousandths(it.rates.started),
            Self::Slots => it.taken(),
        }
    }

    /// An app has no rate; what it holds was started in the last window.
    fn of_app(self, it: &SeenApp) -> u64 {
        match self {
            Self::Waiting => it.waiting,
            Self::Rate | Self::Slots => it.held,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is a small positive number, and what is not becomes 0 or the most"
)]
fn thousandths(rate: f64) -> u64 {
    (rate * 1_000.0) as u64
}

impl Selected {
    pub(super) fn is(&self, connection: &SeenConnection, app: &SeenApp) -> bool {
        self.connection == connection.connection && self.tenant == app.tenant && self.app == app.app
    }

    fn of(connection: &SeenConnection, app: &SeenApp) -> Self {
        Self {
            connection: connection.connection.clone(),
            tenant: app.tenant.clone(),
            app: app.app.clone(),
        }
    }

    /// Its name for people.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", clean(&self.tenant), clean(&self.app))
    }
}

impl Board {
    /// The connections with their apps, in order.
    pub(super) fn sorted(&self) -> Vec<(&SeenConnection, Vec<&SeenApp>)> {
        let order = self.order;
        let mut all: Vec<_> = self.seen.iter().flat_map(|seen| &seen.connections).collect();
        all.sort_by_key(|it| (u64::MAX - order.of_connection(it), it.connection.clone()));
        let apps = |connection: &'_ SeenConnection| -> Vec<usize> {
            let mut places: Vec<usize> = (0..connection.apps.len()).collect();
            places.sort_by_key(|at| {
                let app = &connection.apps[*at];
                (u64::MAX - order.of_app(app), app.tenant.clone(), app.app.clone())
            });
            places
        };
        all.into_iter()
            .map(|it| (it, apps(it).into_iter().map(|at| &it.apps[at]).collect()))
            .collect()
    }

    /// A new answer. What was selected stays so, if it is still there.
    pub(super) fn hear(&mut self, answer: Result<Seen, String>) {
        match answer {
            Ok(seen) => (self.seen, self.trouble) = (Some(seen), None),
            Err(reason) => self.trouble = Some(reason),
        }
        self.step(0);
    }

    /// Selects the app that stands so many lines below.
    fn step(&mut self, lines: isize) {
        let sorted = self.sorted();
        let apps = sorted.iter().flat_map(|(it, apps)| apps.iter().map(move |app| (*it, *app)));
        let apps: Vec<_> = apps.collect();
        let selected = self.selected.as_ref();
        let found = apps.iter().position(|(it, app)| selected.is_some_and(|s| s.is(it, app)));
        let at = found.map_or(0, |at| at.saturating_add_signed(lines).min(apps.len() - 1));
        self.selected = apps.get(at).map(|(it, app)| Selected::of(it, app));
    }

    /// What `key` asks for, if it is more than another look.
    pub(super) fn press(&mut self, key: KeyPress) -> Option<Wish> {
        if key == KeyPress::Interrupt {
            return Some(Wish::Quit);
        }
        if self.entry.is_some() {
            return self.typed(key);
        }
        if std::mem::take(&mut self.help) {
            return None;
        }
        self.said.clear();
        match key {
            KeyPress::Char('q') => return Some(Wish::Quit),
            KeyPress::Char('w') => self.order = Order::Waiting,
            KeyPress::Char('r') => self.order = Order::Rate,
            KeyPress::Char('s') => self.order = Order::Slots,
            KeyPress::Up | KeyPress::Char('k') => self.step(-1),
            KeyPress::Down | KeyPress::Char('j') => self.step(1),
            KeyPress::Char('?') => self.help = true,
            KeyPress::Char('p') => {
                let entry = |of| Prompt { of, lasts: None, text: "10m".into() };
                self.entry = self.selected.clone().map(entry);
            }
            KeyPress::Char('e') => return self.end(),
            _ => {}
        }
        None
    }

    /// A key of a line that is being typed.
    fn typed(&mut self, key: KeyPress) -> Option<Wish> {
        let mut entry = self.entry.take()?;
        match key {
            KeyPress::Escape => return None,
            KeyPress::Backspace => drop(entry.text.pop()),
            KeyPress::Char(c) if entry.text.chars().count() < LONGEST => entry.text.push(c),
            KeyPress::Enter if entry.lasts.is_none() => match time(entry.text.trim()) {
                Ok(_) => entry.lasts = Some(std::mem::take(&mut entry.text)),
                Err(message) => self.said = message,
            },
            KeyPress::Enter => {
                let act =
                    json!({ "kind": "pause-app", "tenant": entry.of.tenant, "app": entry.of.app });
                match making(&act, entry.lasts.as_deref().unwrap_or_default(), &entry.text) {
                    Ok(question) => return Some(Wish::Send(question)),
                    Err(message) => self.said = message,
                }
            }
            _ => {}
        }
        self.entry = Some(entry);
        None
    }

    /// Ends the newest change of the selected app.
    fn end(&mut self) -> Option<Wish> {
        let selected = self.selected.as_ref()?;
        let of_it = |act: &serde_json::Value| {
            act["app"] == selected.app.as_str() && act["tenant"] == selected.tenant.as_str()
        };
        let mut overrides = self.seen.iter().flat_map(|seen| &seen.overrides);
        let found = overrides.find(|it| of_it(&it.act));
        let question = found.and_then(|it| ending(&it.id, None));
        if question.is_none() {
            self.said = format!("nothing of {} is overridden", selected.name());
        }
        question.map(Wish::Send)
    }
}

#[cfg(test)]
mod tests;
