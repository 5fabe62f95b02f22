//! What the demo's applications do: every operation of the published connector, in an order that
//! makes sense, each answer checked.

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct DemoStep {
    /// The operation, for the summary.
    pub(super) operation: &'static str,
    pub(super) method: &'static str,
    /// `{name}` is replaced by a variable: `app`, `round`, or what an earlier answer held.
    pub(super) path: &'static str,
    /// Empty: no body.
    pub(super) body: &'static str,
    pub(super) statuses: &'static [u16],
    /// A JSON pointer into the answer and the variable that takes what is there.
    pub(super) takes: Option<(&'static str, &'static str)>,
    /// A JSON pointer into the answer and what must be there.
    pub(super) holds: Option<(&'static str, &'static str)>,
}

const fn step(operation: &'static str, method: &'static str, path: &'static str) -> DemoStep {
    DemoStep { operation, method, path, body: "", statuses: &[200], takes: None, holds: None }
}

impl DemoStep {
    const fn body(mut self, body: &'static str) -> Self {
        self.body = body;
        self
    }

    const fn gives(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }

    const fn takes(mut self, pointer: &'static str, variable: &'static str) -> Self {
        self.takes = Some((pointer, variable));
        self
    }

    const fn holds(mut self, pointer: &'static str, text: &'static str) -> Self {
        self.holds = Some((pointer, text));
        self
    }
}

/// The ids hold a slash, as real ones do: it must arrive as `%2F`.
pub(super) const STEPS: &[DemoStep] = &[
    step("brands.create", "POST", "/brands")
        .body(r##"{"name":"{app} {round}","settings":{"colors":{"primary":"#112233","secondary":"#445566"}}}"##)
        .takes("/id", "brand"),
    step("brands.get", "GET", "/brands/{brand}").holds("/name", "{app} {round}"),
    step("brands.list", "GET", "/brands").holds("/paging/more", "*"),
    step("lists.put", "PUT", "/lists/demo.{app}").body(r#"{"name":"News of round {round}"}"#).gives(&[204]),
    step("lists.get", "GET", "/lists/demo.{app}").holds("/name", "News of round {round}"),
    step("lists.list", "GET", "/lists").holds("/paging/more", "*"),
    step("profiles.merge", "POST", "/profiles/{app}%2Fu1")
        .body(r#"{"profile":{"email":"u1@example.com","plan":"{app}"}}"#),
    step("profiles.get", "GET", "/profiles/{app}%2Fu1").holds("/profile/email", "u1@example.com"),
    step("profiles.patch", "PATCH", "/profiles/{app}%2Fu1")
        .body(r#"{"patch":[{"op":"replace","path":"/email","value":"u2@example.com"}]}"#)
        .gives(&[200, 204]),
    step("lists.subscriptions.add", "POST", "/lists/demo.{app}/subscriptions")
        .body(r#"{"recipients":[{"recipientId":"{app}/u1"}]}"#)
        .gives(&[202, 204]),
    step("lists.subscriptions.list", "GET", "/lists/demo.{app}/subscriptions").holds("/items/0/recipientId", "{app}/u1"),
    step("lists.subscriptions.delete_user", "DELETE", "/lists/demo.{app}/subscriptions/{app}%2Fu1").gives(&[204]),
    step("lists.delete", "DELETE", "/lists/demo.{app}").gives(&[204]),
    step("lists.restore", "PUT", "/lists/demo.{app}/restore").gives(&[204]),
    step("audiences.put", "PUT", "/audiences/{app}")
        .body(r#"{"name":"{app}","filter":{"operator":"AND","filters":[{"operator":"EQ","path":"plan","value":"{app}"}]}}"#)
        .holds("/audience/id", "{app}"),
    step("audiences.get", "GET", "/audiences/{app}").holds("/name", "{app}"),
    step("audiences.list", "GET", "/audiences").holds("/items/0/id", "*"),
    step("audiences.members.list", "GET", "/audiences/{app}/members").holds("/paging/more", "*"),
    step("audiences.delete", "DELETE", "/audiences/{app}").gives(&[204]),
    step("messages.send", "POST", "/send")
        .body(r#"{"message":{"to":{"user_id":"{app}/u1"},"content":{"title":"Round {round}","body":"Hello"}}}"#)
        .gives(&[202])
        .takes("/requestId", "message"),
    step("messages.get", "GET", "/messages/{message}").holds("/id", "{message}"),
    step("messages.list", "GET", "/messages").holds("/results/0/id", "*"),
    step("messages.history", "GET", "/messages/{message}/history").holds("/results/0/type", "*"),
    step("messages.output", "GET", "/messages/{message}/output").holds("/results", "*"),
    step("requests.archive", "PUT", "/requests/{message}/archive").gives(&[202, 204]),
    step("bulk.create", "POST", "/bulk").body(r#"{"message":{"event":"welcome"}}"#).gives(&[200, 201]).takes("/jobId", "job"),
    step("bulk.users.add", "POST", "/bulk/{job}")
        .body(r#"{"users":[{"profile":{"email":"u3@example.com"},"data":{"round":{round}}}]}"#)
        .gives(&[200, 204]),
    step("bulk.run", "POST", "/bulk/{job}/run").gives(&[202, 204]),
    step("bulk.get", "GET", "/bulk/{job}").holds("/job/received", "1"),
    step("bulk.users.list", "GET", "/bulk/{job}/users").holds("/items/0/profile/email", "u3@example.com"),
    step("automations.invoke", "POST", "/automations/welcome/invoke")
        .body(r#"{"recipient":"{app}/u1","data":{"round":{round}}}"#)
        .holds("/runId", "*"),
    step("automations.invoke_adhoc", "POST", "/automations/invoke")
        .body(r#"{"recipient":"{app}/u1","data":{"round":{round}},"automation":{"steps":[{"action":"delay","duration":"2 hours"}]}}"#)
        .holds("/runId", "*"),
    step("audit_events.list", "GET", "/audit-events").takes("/results/0/auditEventId", "event"),
    step("audit_events.get", "GET", "/audit-events/{event}").holds("/auditEventId", "{event}"),
    step("notifications.list", "GET", "/notifications").holds("/paging/more", "*"),
    step("profiles.delete", "DELETE", "/profiles/{app}%2Fu1").gives(&[200, 204]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Match};
    use std::collections::BTreeSet;

    #[test]
    fn the_steps_are_the_36_operations_of_the_connector() {
        let catalog = Catalog::courier();
        for step in STEPS {
            let path = step.path.replace(['{', '}'], "x");
            match catalog.find(&step.method.parse().unwrap(), &path) {
                Match::Operation(row) => assert_eq!(&*row.id, step.operation),
                other => panic!("{}: {other:?}", step.operation),
            }
        }
        let names: BTreeSet<_> = STEPS.iter().map(|step| step.operation).collect();
        assert_eq!((names.len(), STEPS.len()), (36, 36));
    }
}
