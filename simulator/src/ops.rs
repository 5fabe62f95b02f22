//! The operations, and the table that names the handler of each.

mod audiences;
mod audit;
mod automations;
mod brands;
mod bulk;
mod content;
mod filter;
mod generic;
mod lists;
mod messages;
mod notifications;
mod patch;
mod preferences;
mod profiles;
mod recipients;
mod seed;
mod shape;
mod special;
mod topics;
mod users;

pub(crate) use generic::placeholder;
pub(crate) use seed::seed;

use crate::call::{Call, Outcome};

/// Answers a call of one operation.
type Handler = fn(&mut Call<'_>) -> Outcome;

/// The handler of each operation. Those that are not here share the generic store.
const HANDLERS: &[(&str, Handler)] = &[
    ("audiences.list", audiences::list),
    ("audiences.get", audiences::get),
    ("audiences.put", audiences::put),
    ("audiences.delete", audiences::delete),
    ("audiences.members.list", audiences::members),
    ("audit_events.list", audit::list),
    ("audit_events.get", audit::get),
    ("auth.issue_token", special::issue_token),
    ("automations.invoke", automations::invoke),
    ("automations.invoke_adhoc", automations::invoke_ad_hoc),
    ("automations.runs.list", automations::runs),
    ("automations.runs.get", automations::run),
    ("automations.runs.steps", automations::steps),
    ("brands.list", brands::list),
    ("brands.get", brands::get),
    ("brands.create", brands::create),
    ("brands.put", brands::put),
    ("brands.delete", brands::delete),
    ("bulk.create", bulk::create),
    ("bulk.get", bulk::get),
    ("bulk.users.add", bulk::add_users),
    ("bulk.run", bulk::run),
    ("bulk.users.list", bulk::users),
    ("client.graphql", special::graphql),
    ("inbound.courier", special::inbound),
    ("inbound.segment", special::inbound),
    ("journeys.invoke", special::invoke_journey),
    ("lists.list", lists::list),
    ("lists.get", lists::get),
    ("lists.put", lists::put),
    ("lists.delete", lists::delete),
    ("lists.restore", lists::restore),
    ("lists.subscriptions.list", lists::subscriptions),
    ("lists.subscriptions.add", lists::subscribe_many),
    ("lists.subscriptions.replace", lists::subscribe_many),
    ("lists.subscriptions.put_user", lists::subscribe_one),
    ("client.lists.subscribe", lists::subscribe_one),
    ("lists.subscriptions.delete_user", lists::unsubscribe),
    ("client.lists.unsubscribe", lists::unsubscribe),
    ("messages.send", messages::send),
    ("messages.send_list", messages::send_list),
    ("messages.list", messages::list),
    ("messages.get", messages::get),
    ("messages.history", messages::history),
    ("messages.output", messages::output),
    ("messages.cancel", messages::cancel),
    ("messages.resend", messages::resend),
    ("requests.archive", messages::archive),
    ("messages.archive", messages::archive),
    ("notifications.list", notifications::list),
    ("notifications.get", notifications::get),
    ("notifications.create", notifications::create),
    ("notifications.put", notifications::put),
    ("notifications.publish", notifications::publish),
    ("notifications.archive", notifications::archive),
    ("notifications.duplicate", notifications::duplicate),
    ("notifications.metrics", special::metrics),
    ("profiles.get", profiles::get),
    ("profiles.merge", profiles::merge),
    ("profiles.put", profiles::put),
    ("profiles.patch", profiles::patch),
    ("profiles.delete", profiles::delete),
    ("profiles.lists.list", lists::of_user),
    ("profiles.lists.add", lists::add_to_user),
    ("profiles.lists.clear", lists::clear_of_user),
    ("users.put", profiles::legacy_user),
    ("journeys.runs.get", special::journey_run),
    ("users.tenants.add", users::join_tenant),
    ("users.tenants.add_many", users::join_tenants),
    ("users.tenants.remove", users::leave_tenant),
    ("users.tenants.remove_all", users::leave_tenants),
    ("users.tokens.put", users::put_token),
    ("users.tokens.add_many", users::put_tokens),
    ("users.tokens.patch", users::patch_token),
    ("broadcasts.content.get", content::get),
    ("journeys.templates.content.get", content::get),
    ("notifications.content.get", content::get),
    ("broadcasts.content.put", content::put),
    ("journeys.templates.content.put", content::put),
    ("journeys.templates.locales.put", content::put),
    ("notifications.content.put", content::put),
    ("notifications.elements.put", content::put),
    ("notifications.locales.put", content::put),
    ("journeys.cancel", special::cancel_journey),
    ("notifications.checks.put", special::put_checks),
    ("preferences.publish", preferences::publish),
    ("preferences.topics.create", topics::write),
    ("preferences.topics.put", topics::write),
    ("users.preferences.topics.get", preferences::get_topic),
    ("users.preferences.topics.put", preferences::put_topic),
    ("users.preferences.update", preferences::set_topics),
    ("users.preferences.replace", preferences::set_topics),
];

/// Runs the operation that the call's row names.
pub(crate) fn run(call: &mut Call<'_>) -> Outcome {
    let named = HANDLERS.iter().find(|(id, _)| *id == call.row.id);
    named.map_or(generic::handle as Handler, |(_, handler)| *handler)(call)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::CATALOGUE;

    #[test]
    fn each_handler_is_for_one_operation_of_the_catalogue() {
        let known: BTreeSet<&str> = CATALOGUE.rows().map(|row| row.id.as_str()).collect();
        let mut seen = BTreeSet::new();
        for (id, _) in HANDLERS {
            assert!(known.contains(id), "{id} is not in the catalogue");
            assert!(seen.insert(id), "{id} has two handlers");
        }
    }
}
