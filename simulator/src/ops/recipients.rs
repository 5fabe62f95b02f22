//! The recipients of a message: users, addresses, lists, patterns, audiences.

use serde_json::{Value, json};

use super::{audiences, lists};
use crate::call::{Call, Failure};
use crate::model::{Fate, Message};
use crate::time::Wall;

/// One recipient after fan-out.
pub(crate) struct Person {
    /// User id or address.
    pub(crate) name: String,
    /// The list that brought them in.
    pub(crate) list: Option<String>,
    /// Contact data: the stored profile, and what the call gave.
    pub(crate) contact: Value,
}

/// Resolves `to`, which is an object or an array of them.
pub(crate) fn resolve(call: &mut Call<'_>, to: &Value) -> Result<Vec<Person>, Failure> {
    let mut people = Vec::new();
    match to {
        Value::Array(many) if !many.is_empty() => {
            for one in many {
                resolve_one(call, one, &mut people)?;
            }
        }
        Value::Object(_) => resolve_one(call, to, &mut people)?,
        _ => return Err(Failure::invalid("message.to should be object or array")),
    }
    Ok(people)
}

fn resolve_one(call: &mut Call<'_>, to: &Value, people: &mut Vec<Person>) -> Result<(), Failure> {
    let text = |name: &str| to[name].as_str();
    if let Some(pattern) = text("list_pattern") {
        let ids: Vec<String> = call
            .state
            .lists
            .iter()
            .filter(|(id, l)| !l.deleted && lists::matches(pattern, id))
            .map(|(id, _)| id.to_owned())
            .collect();
        ids.iter().for_each(|id| subscribers(call, id, people));
    } else if let Some(id) = text("list_id") {
        subscribers(call, id, people);
    } else if let Some(id) = text("audience_id") {
        for user in audiences::users(call, id) {
            people.push(known_user(call, &user, Some(format!("audience:{id}"))));
        }
    } else if let Some(user) = text("user_id") {
        let mut person = known_user(call, user, None);
        super::profiles::deep_merge(&mut person.contact, to);
        people.push(person);
    } else if let Some(address) = text("email").or_else(|| text("phone_number")) {
        people.push(Person { name: address.to_owned(), list: None, contact: to.clone() });
    } else if to.as_object().is_some_and(|m| !m.is_empty()) {
        people.push(Person { name: "anonymous".into(), list: None, contact: to.clone() });
    } else {
        return Err(Failure::invalid("message.to should have a recipient"));
    }
    Ok(())
}

fn subscribers(call: &Call<'_>, list_id: &str, people: &mut Vec<Person>) {
    let Some(list) = call.state.lists.get(list_id).filter(|l| !l.deleted) else {
        return;
    };
    people.extend(
        list.subscribers.iter().map(|(user, _)| known_user(call, user, Some(list_id.to_owned()))),
    );
}

fn known_user(call: &Call<'_>, user: &str, list: Option<String>) -> Person {
    Person {
        name: user.to_owned(),
        list,
        contact: call.state.profiles.get(user).cloned().unwrap_or_else(|| json!({})),
    }
}

/// Makes the message for one recipient.
pub(crate) fn message(
    call: &mut Call<'_>,
    request: &str,
    person: Person,
    ask: Value,
    enqueued: Wall,
) -> Message {
    let channel = channel(&person.contact);
    // The id of the request decides, so it is the same in every run of a seed.
    let dice = request.bytes().fold(person.name.len(), |sum, b| sum + usize::from(b));
    let known = ask.get("content").is_some_and(Value::is_object) || named(call, &ask);
    let bounced = person.contact["email"].as_str().is_some_and(|e| e.ends_with(".invalid"));
    let fate = match channel {
        _ if !known => Fate::Unmapped,
        None => Fate::Unroutable,
        _ if call.mock => Fate::Simulated,
        _ if bounced => Fate::Undeliverable,
        _ => Fate::Delivered { opened: dice.is_multiple_of(2), clicked: dice.is_multiple_of(4) },
    };
    Message {
        request: request.to_owned(),
        recipient: person.name,
        list: person.list,
        due: due(&ask, enqueued),
        ask,
        channel: channel.unwrap_or(("email", "sendgrid")),
        enqueued,
        fate,
        canceled: None,
        archived: false,
        token: None,
    }
}

/// When a message that was accepted at `enqueued` is processed.
///
/// `delay.duration` is in ms and `delay.until` a date (OA). Opening hours are not read.
fn due(ask: &Value, enqueued: Wall) -> Wall {
    let delay = &ask["delay"];
    let after = delay["duration"].as_u64().map(|ms| enqueued.plus_ms(ms));
    let until = || delay["until"].as_str().and_then(Wall::parse_iso);
    after.or_else(until).unwrap_or(enqueued).max(enqueued)
}

/// Whether the template (by id) or the event is one that the token can see.
fn named(call: &Call<'_>, ask: &Value) -> bool {
    let templates = call.state.notifications(call.release);
    let wanted = ask["template"].as_str().or_else(|| ask["event"].as_str()).unwrap_or_default();
    let maps =
        |t: &Value| t["event_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == wanted));
    templates.get(wanted).is_some()
        || call.state.documents.contains_key(&format!("events\0{wanted}"))
        || templates.iter().any(|(_, t)| maps(t))
}

fn channel(contact: &Value) -> Option<(&'static str, &'static str)> {
    let has = |name: &str| contact.get(name).is_some_and(|v| !v.is_null());
    if has("email") {
        Some(("email", "sendgrid"))
    } else if has("phone_number") {
        Some(("sms", "twilio"))
    } else if ["slack", "ms_teams", "discord"].iter().any(|n| has(n)) {
        Some(("direct_message", "slack"))
    } else if ["apn", "firebaseToken", "expo", "airship"].iter().any(|n| has(n)) {
        Some(("push", "firebase-fcm"))
    } else {
        None
    }
}
