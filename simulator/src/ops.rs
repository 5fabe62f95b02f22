//! What each operation does.

pub(crate) mod audiences;
pub(crate) mod audit;
pub(crate) mod automations;
pub(crate) mod brands;
pub(crate) mod bulk;
pub(crate) mod content;
pub(crate) mod filter;
pub(crate) mod generic;
pub(crate) mod lists;
pub(crate) mod messages;
pub(crate) mod notifications;
pub(crate) mod patch;
pub(crate) mod preferences;
pub(crate) mod profiles;
pub(crate) mod recipients;
mod seed;
pub(crate) mod shape;
pub(crate) mod special;
pub(crate) mod topics;
pub(crate) mod users;

use crate::call::{Call, Outcome};

pub(crate) use seed::seed;

/// Runs the operation that the call's row names; the rows not named here share one generic store.
pub(crate) fn run(call: &mut Call<'_>) -> Outcome {
    let operation = match call.row.id.as_str() {
        "audiences.list" => audiences::list,
        "audiences.get" => audiences::get,
        "audiences.put" => audiences::put,
        "audiences.delete" => audiences::delete,
        "audiences.members.list" => audiences::members,
        "audit_events.list" => audit::list,
        "audit_events.get" => audit::get,
        "auth.issue_token" => special::issue_token,
        "automations.invoke" => automations::invoke,
        "automations.invoke_adhoc" => automations::invoke_ad_hoc,
        "automations.runs.list" => automations::runs,
        "automations.runs.get" => automations::run,
        "automations.runs.steps" => automations::steps,
        "brands.list" => brands::list,
        "brands.get" => brands::get,
        "brands.create" => brands::create,
        "brands.put" => brands::put,
        "brands.delete" => brands::delete,
        "bulk.create" => bulk::create,
        "bulk.get" => bulk::get,
        "bulk.users.add" => bulk::add_users,
        "bulk.run" => bulk::run,
        "bulk.users.list" => bulk::users,
        "client.graphql" => special::graphql,
        "inbound.courier" | "inbound.segment" => special::inbound,
        "journeys.invoke" => special::invoke_journey,
        _ => return run_more(call),
    };
    operation(call)
}

fn run_more(call: &mut Call<'_>) -> Outcome {
    let operation = match call.row.id.as_str() {
        "lists.list" => lists::list,
        "lists.get" => lists::get,
        "lists.put" => lists::put,
        "lists.delete" => lists::delete,
        "lists.restore" => lists::restore,
        "lists.subscriptions.list" => lists::subscriptions,
        "lists.subscriptions.add" | "lists.subscriptions.replace" => lists::subscribe_many,
        "lists.subscriptions.put_user" | "client.lists.subscribe" => lists::subscribe_one,
        "lists.subscriptions.delete_user" | "client.lists.unsubscribe" => lists::unsubscribe,
        "messages.send" => messages::send,
        "messages.send_list" => messages::send_list,
        "messages.list" => messages::list,
        "messages.get" => messages::get,
        "messages.history" => messages::history,
        "messages.output" => messages::output,
        "messages.cancel" => messages::cancel,
        "messages.resend" => messages::resend,
        "requests.archive" | "messages.archive" => messages::archive,
        "notifications.list" => notifications::list,
        "notifications.get" => notifications::get,
        "notifications.create" => notifications::create,
        "notifications.put" => notifications::put,
        "notifications.publish" => notifications::publish,
        "notifications.archive" => notifications::archive,
        "notifications.duplicate" => notifications::duplicate,
        "notifications.metrics" => special::metrics,
        "profiles.get" => profiles::get,
        "profiles.merge" => profiles::merge,
        "profiles.put" => profiles::put,
        "profiles.patch" => profiles::patch,
        "profiles.delete" => profiles::delete,
        "profiles.lists.list" => lists::of_user,
        "profiles.lists.add" => lists::add_to_user,
        "profiles.lists.clear" => lists::clear_of_user,
        "users.put" => profiles::legacy_user,
        "journeys.runs.get" => special::journey_run,
        "users.tenants.add" => users::join_tenant,
        "users.tenants.add_many" => users::join_tenants,
        "users.tenants.remove" => users::leave_tenant,
        "users.tenants.remove_all" => users::leave_tenants,
        "users.tokens.put" => users::put_token,
        "users.tokens.add_many" => users::put_tokens,
        "users.tokens.patch" => users::patch_token,
        _ => return run_authored(call),
    };
    operation(call)
}

/// Rows of the generic store whose answers have a form of their own.
fn run_authored(call: &mut Call<'_>) -> Outcome {
    let operation = match call.row.id.as_str() {
        "broadcasts.content.get"
        | "journeys.templates.content.get"
        | "notifications.content.get" => content::get,
        "broadcasts.content.put"
        | "journeys.templates.content.put"
        | "journeys.templates.locales.put"
        | "notifications.content.put"
        | "notifications.elements.put"
        | "notifications.locales.put" => content::put,
        "journeys.cancel" => special::cancel_journey,
        "notifications.checks.put" => special::put_checks,
        "preferences.publish" => preferences::publish,
        "preferences.topics.create" | "preferences.topics.put" => topics::write,
        "users.preferences.topics.get" => preferences::get_topic,
        "users.preferences.topics.put" => preferences::put_topic,
        "users.preferences.update" | "users.preferences.replace" => preferences::set_topics,
        _ => generic::handle,
    };
    operation(call)
}
