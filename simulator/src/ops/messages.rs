//! Messages. Their state follows from the time of the send alone, so reads change nothing.

use serde_json::{Value, json};

use super::recipients;
use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::model::Message;
use crate::table::Order;
use crate::time::Wall;

/// POST /send.
pub(crate) fn send(call: &mut Call<'_>) -> Outcome {
    let mut body = call.object()?;
    let Some(mut ask) = body.remove("message").filter(Value::is_object) else {
        return send_event(call, &Value::Object(body));
    };
    let Some(to) = ask.as_object_mut().and_then(|m| m.remove("to")).filter(|to| !to.is_null())
    else {
        return Err(Failure::invalid("message.to: Required"));
    };
    if ["template", "content", "event"].iter().all(|name| ask.get(name).is_none()) {
        return Err(Failure::invalid("message.template or message.content: Required"));
    }
    let request = call.ids.xray(call.wall);
    let people = recipients::resolve(call, &to)?;
    let one = people.len() == 1 && people[0].list.is_none();
    for person in people {
        let id = if one { request.clone() } else { call.ids.xray(call.wall) };
        let message = recipients::message(call, &request, person, ask.clone(), call.wall);
        call.state.keep_message(&id, message);
    }
    Ok(Success::Json(json!({ "requestId": request })))
}

/// POST /send in the older form: an event for one recipient (SDKs of majors 1 to 3).
fn send_event(call: &mut Call<'_>, body: &Value) -> Outcome {
    let (Some(event), Some(user)) = (body["event"].as_str(), body["recipient"].as_str()) else {
        return Err(Failure::invalid("message: Required"));
    };
    let mut to = json!({ "user_id": user });
    if let Some(email) = body.pointer("/profile/email").filter(|email| email.is_string()) {
        to["email"] = email.clone();
    }
    let request = call.ids.xray(call.wall);
    for person in recipients::resolve(call, &to)? {
        let ask = json!({ "event": event, "data": body["data"] });
        let message = recipients::message(call, &request, person, ask, call.wall);
        call.state.keep_message(&request, message);
    }
    Ok(Success::Json(json!({ "messageId": request })))
}

/// POST /send/list (legacy).
pub(crate) fn send_list(call: &mut Call<'_>) -> Outcome {
    let body = Value::Object(call.object()?);
    let to = match (body["list"].as_str(), body["pattern"].as_str()) {
        (Some(list), _) => json!({ "list_id": list }),
        (None, Some(pattern)) => json!({ "list_pattern": pattern }),
        (None, None) => return Err(Failure::invalid("list or pattern: Required")),
    };
    let request = call.ids.xray(call.wall);
    for person in recipients::resolve(call, &to)? {
        let id = call.ids.xray(call.wall);
        let message = recipients::message(
            call,
            &request,
            person,
            json!({ "event": body["event"], "data": body["data"] }),
            call.wall,
        );
        call.state.keep_message(&id, message);
    }
    Ok(Success::Json(json!({ "messageId": request })))
}

/// GET /messages with its filters, newest first.
pub(crate) fn list(call: &mut Call<'_>) -> Outcome {
    let (q, wall) = (call.query, call.wall);
    let after = q
        .get("enqueued_after")
        .and_then(|t| Wall::parse_iso(t).or_else(|| t.parse().ok().map(Wall)));
    let archived = q.get("archived") == Some("true");
    let is =
        |name: &str, actual: Option<&str>| q.get(name).is_none_or(|wanted| Some(wanted) == actual);
    let any = |name: &str, actual: &str| {
        q.get(name).is_none() || q.all(name).any(|wanted| wanted == actual)
    };
    let keep = |id: &str, m: &Message| {
        m.enqueued <= wall
            && m.archived == archived
            && any("status", m.status(wall))
            && any("provider", m.channel.1)
            && is("recipient", Some(&m.recipient))
            && is("event", Some(m.event()))
            && is("notification", Some(m.notification()))
            && is("list", m.list.as_deref())
            && is("messageId", Some(id))
            && is("traceId", Some(&m.request))
            && is("tenant_id", m.ask.pointer("/context/tenant_id").and_then(Value::as_str))
            && (q.get("tag").is_none() || q.all("tag").any(|t| m.tags().any(|have| have == t)))
            && q.all("tags").all(|t| m.tags().any(|have| have == t))
            && after.is_none_or(|after| m.enqueued > after)
    };
    let page = call.state.messages.page(Order::Newest, call.cursor(), call.limit()?, keep)?;
    let (rows, cursor) = rows_of(page, |id, m| m.summary(id, wall));
    Ok(call.wrap(rows, cursor))
}

/// GET /messages/{message_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    Ok(Success::Json(known(call, &id)?.detail(&id, call.wall)))
}

/// GET /messages/{message_id}/history, with `type`.
pub(crate) fn history(call: &mut Call<'_>) -> Outcome {
    let (message, wall) = (known(call, &call.param(0))?, call.wall);
    let wanted = call.query.get("type");
    let entry = |(kind, at): (&'static str, Wall)| {
        let mut v = json!({ "type": kind, "ts": at.0 });
        if matches!(
            kind,
            "RENDERED" | "SENT" | "DELIVERED" | "OPENED" | "CLICKED" | "UNDELIVERABLE"
        ) {
            v["channel"] = json!({ "id": message.channel.0 });
            v["integration"] = json!({ "id": message.channel.1, "provider": message.channel.1 });
        }
        v
    };
    let reached = message
        .steps()
        .take_while(|(_, at)| *at <= wall)
        .filter(|(kind, _)| wanted.is_none_or(|w| w == *kind));
    Ok(Success::Json(json!({ "results": reached.map(entry).collect::<Vec<_>>() })))
}

/// GET /messages/{message_id}/output: one rendering, or none before it was rendered.
pub(crate) fn output(call: &mut Call<'_>) -> Outcome {
    let (message, wall) = (known(call, &call.param(0))?, call.wall);
    if !message.steps().any(|(kind, at)| kind == "RENDERED" && at <= wall) {
        return Ok(Success::Json(json!({ "results": [] })));
    }
    let part = |name: &str| {
        message.ask.pointer(&format!("/content/{name}")).and_then(Value::as_str).unwrap_or_default()
    };
    let (title, body) = (part("title"), part("body"));
    let content = json!({
        "subject": title, "title": title, "body": body, "html": format!("<p>{body}</p>"), "text": body,
        "blocks": [{ "type": "text", "text": body }],
    });
    let results = json!([{ "channel": message.channel.0, "channel_id": message.channel.0, "content": content }]);
    Ok(Success::Json(json!({ "results": results })))
}

/// POST /messages/{message_id}/cancel. A sent message is a 409 with its record (OA).
pub(crate) fn cancel(call: &mut Call<'_>) -> Outcome {
    let (id, wall) = (call.param(0), call.wall);
    let message = known(call, &id)?;
    if !matches!(message.status(wall), "ENQUEUED" | "DELAYED" | "ROUTED") {
        let record = message.detail(&id, wall);
        return Err(Failure { record: Some(record), ..Failure::conflict("Conflict") });
    }
    let mut message = message.clone();
    message.canceled = Some(wall);
    let record = message.detail(&id, wall);
    call.state.messages.insert(&id, message);
    Ok(Success::Json(record))
}

/// POST /messages/{message_id}/resend makes a new message with the same content.
pub(crate) fn resend(call: &mut Call<'_>) -> Outcome {
    let mut copy = known(call, &call.param(0))?.clone();
    let id = call.ids.xray(call.wall);
    (copy.request, copy.canceled, copy.archived) = (id.clone(), None, false);
    (copy.enqueued, copy.due) = (call.wall, call.wall);
    call.state.keep_message(&id, copy);
    Ok(Success::Json(json!({ "messageId": id })))
}

/// PUT /requests/{request_id}/archive and POST /messages/{message_id}/archive.
///
/// Both hide the messages of the id.
pub(crate) fn archive(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    // With one recipient the message has the request's id. No search is needed.
    if let Some(message) = call.state.messages.get_mut(&id) {
        message.archived = true;
        return Ok(Success::Done);
    }
    let mut found = false;
    for (_, message) in call.state.messages.iter_mut().filter(|(_, m)| m.request == id) {
        (message.archived, found) = (true, true);
    }
    if found { Ok(Success::Done) } else { Err(Failure::not_found()) }
}

fn known<'c>(call: &'c Call<'_>, id: &str) -> Result<&'c Message, Failure> {
    let message = call.state.messages.get(id).filter(|m| m.enqueued <= call.wall);
    message.ok_or_else(|| Failure { message: "Message Not Found".into(), ..Failure::not_found() })
}
