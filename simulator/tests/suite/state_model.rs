//! Lists, subscriptions, profiles and audiences against a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use simulator::{Micros, Options, Request, Simulator};

#[derive(Clone, Debug)]
enum Step {
    PutList(u8),
    DeleteList(u8),
    RestoreList(u8),
    Add(u8, Vec<u8>),
    Replace(u8, Vec<u8>),
    AddOne(u8, u8),
    Remove(u8, u8),
    RemoveFromAll(u8),
    Merge(u8, Option<u8>, Option<u8>),
    Put(u8, Option<u8>, Option<u8>),
    Patch(u8, u8),
    Forget(u8),
    PutAudience(u8, u8),
    DeleteAudience(u8),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let (id, users) = (0..4_u8, proptest::collection::vec(0..15_u8, 0..14));
    let field = || proptest::option::of(0..9_u8);
    prop_oneof![
        id.clone().prop_map(Step::PutList),
        id.clone().prop_map(Step::DeleteList),
        id.clone().prop_map(Step::RestoreList),
        (id.clone(), users.clone()).prop_map(|(l, u)| Step::Add(l, u)),
        (id.clone(), users).prop_map(|(l, u)| Step::Replace(l, u)),
        (id.clone(), 0..15_u8).prop_map(|(l, u)| Step::AddOne(l, u)),
        (id.clone(), 0..15_u8).prop_map(|(l, u)| Step::Remove(l, u)),
        (0..15_u8).prop_map(Step::RemoveFromAll),
        (0..15_u8, field(), field()).prop_map(|(u, a, b)| Step::Merge(u, a, b)),
        (0..15_u8, field(), field()).prop_map(|(u, a, b)| Step::Put(u, a, b)),
        (0..15_u8, 0..9_u8).prop_map(|(u, a)| Step::Patch(u, a)),
        (0..15_u8).prop_map(Step::Forget),
        (id.clone(), 0..9_u8).prop_map(|(a, than)| Step::PutAudience(a, than)),
        id.prop_map(Step::DeleteAudience),
        (0..3000_u16).prop_map(Step::Wait),
    ]
}

/// The expected data, by the rules of the documents alone.
#[derive(Default)]
struct Model {
    /// Deleted or not, and the subscribers in order of subscription.
    lists: BTreeMap<u8, (bool, Vec<u8>)>,
    /// Ages and sizes.
    profiles: BTreeMap<u8, (Option<u8>, Option<u8>)>,
    /// Least ages, exclusive.
    audiences: BTreeMap<u8, u8>,
}

impl Model {
    fn live(&self, list: u8) -> bool {
        self.lists.get(&list).is_some_and(|(deleted, _)| !deleted)
    }

    fn subscribe(&mut self, list: u8, users: &[u8]) {
        let (deleted, subscribers) = self.lists.entry(list).or_default();
        *deleted = false;
        for user in users {
            if !subscribers.contains(user) {
                subscribers.push(*user);
            }
        }
    }

    /// Does the step and gives the status that it should answer.
    fn apply(&mut self, step: &Step) -> u16 {
        let found = |yes: bool| if yes { 204 } else { 404 };
        match step {
            Step::PutList(l) => self.subscribe(*l, &[]),
            Step::DeleteList(l) => {
                let live = self.live(*l);
                self.lists.entry(*l).and_modify(|list| list.0 = true);
                return found(live);
            }
            Step::RestoreList(l) => {
                let known = self.lists.contains_key(l);
                self.lists.entry(*l).and_modify(|list| list.0 = false);
                return found(known);
            }
            Step::Add(l, users) => self.subscribe(*l, users),
            Step::Replace(l, users) => {
                self.lists.entry(*l).or_default().1.clear();
                self.subscribe(*l, users);
            }
            Step::AddOne(l, u) => self.subscribe(*l, &[*u]),
            Step::Remove(l, u) => {
                let there = self.live(*l) && self.lists[l].1.contains(u);
                if there {
                    self.lists.entry(*l).and_modify(|list| list.1.retain(|s| s != u));
                }
                return found(there);
            }
            Step::RemoveFromAll(u) => {
                self.lists.values_mut().for_each(|list| list.1.retain(|s| s != u));
                return 200;
            }
            Step::Merge(u, age, size) => {
                let profile = self.profiles.entry(*u).or_default();
                *profile = (age.or(profile.0), size.or(profile.1));
                return 200;
            }
            Step::Put(u, age, size) => {
                self.profiles.insert(*u, (*age, *size));
                return 200;
            }
            Step::Patch(u, age) => {
                let known = self.profiles.contains_key(u);
                self.profiles.entry(*u).and_modify(|p| p.0 = Some(*age));
                if !known {
                    self.profiles.remove(u);
                }
                return found(known);
            }
            Step::Forget(u) => return found(self.profiles.remove(u).is_some()),
            Step::PutAudience(a, than) => {
                self.audiences.insert(*a, *than);
                return 200;
            }
            Step::DeleteAudience(a) => return found(self.audiences.remove(a).is_some()),
            Step::Wait(_) => {}
        }
        204
    }

    fn members(&self, audience: u8) -> BTreeSet<String> {
        let than = self.audiences[&audience];
        self.profiles
            .iter()
            .filter(|(_, (age, _))| age.is_some_and(|a| a > than))
            .map(|(u, _)| format!("u{u}"))
            .collect()
    }
}

/// The same step as a request; `None` for a wait.
fn request(step: &Step) -> Option<Request> {
    let recipients = |users: &[u8]| json!({ "recipients": users.iter().map(|u| json!({ "recipientId": format!("u{u}") })).collect::<Vec<_>>() });
    let profile = |age: &Option<u8>, size: &Option<u8>| {
        let fields = [("age", age), ("size", size)]
            .into_iter()
            .filter_map(|(n, v)| v.map(|v| (n.to_owned(), json!(v))));
        json!({ "profile": fields.collect::<serde_json::Map<_, _>>() })
    };
    let (method, target, body) = match step {
        Step::PutList(l) => ("PUT", format!("/lists/l{l}"), json!({ "name": "n" })),
        Step::DeleteList(l) => ("DELETE", format!("/lists/l{l}"), Value::Null),
        Step::RestoreList(l) => ("PUT", format!("/lists/l{l}/restore"), json!({})),
        Step::Add(l, users) => ("POST", format!("/lists/l{l}/subscriptions"), recipients(users)),
        Step::Replace(l, users) => ("PUT", format!("/lists/l{l}/subscriptions"), recipients(users)),
        Step::AddOne(l, u) => ("PUT", format!("/lists/l{l}/subscriptions/u{u}"), json!({})),
        Step::Remove(l, u) => ("DELETE", format!("/lists/l{l}/subscriptions/u{u}"), Value::Null),
        Step::RemoveFromAll(u) => ("DELETE", format!("/profiles/u{u}/lists"), Value::Null),
        Step::Merge(u, age, size) => ("POST", format!("/profiles/u{u}"), profile(age, size)),
        Step::Put(u, age, size) => ("PUT", format!("/profiles/u{u}"), profile(age, size)),
        Step::Patch(u, age) => (
            "PATCH",
            format!("/profiles/u{u}"),
            json!({ "patch": [{ "op": "add", "path": "/age", "value": age }] }),
        ),
        Step::Forget(u) => ("DELETE", format!("/profiles/u{u}"), Value::Null),
        Step::PutAudience(a, than) => (
            "PUT",
            format!("/audiences/a{a}"),
            json!({ "filter": { "operator": "GT", "path": "age", "value": than } }),
        ),
        Step::DeleteAudience(a) => ("DELETE", format!("/audiences/a{a}"), Value::Null),
        Step::Wait(_) => return None,
    };
    Some(Request::new(method, &target).token("t").json(&body))
}

/// Reads all pages of a listing, in order.
fn all(sim: &mut Simulator, now: Micros, target: &str, key: &str, id: &str) -> Option<Vec<String>> {
    let (mut seen, mut next) = (Vec::new(), target.to_owned());
    loop {
        let reply = sim.handle(now, Request::new("GET", &next).token("t"));
        if reply.status == 404 {
            return None;
        }
        let page = reply.value();
        seen.extend(
            page[key].as_array()?.iter().filter_map(|row| row[id].as_str()).map(str::to_owned),
        );
        match page["paging"]["cursor"].as_str() {
            Some(cursor) => {
                next =
                    format!("{target}?cursor={}", cursor.replace('=', "%3D").replace('+', "%2B"));
            }
            None => return Some(seen),
        }
    }
}

fn compare(sim: &mut Simulator, now: Micros, model: &Model) {
    let live: BTreeSet<String> = model
        .lists
        .iter()
        .filter(|(_, (deleted, _))| !deleted)
        .map(|(l, _)| format!("l{l}"))
        .collect();
    let listed = all(sim, now, "/lists", "items", "id").unwrap_or_default();
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), live);
    for (l, (deleted, subscribers)) in &model.lists {
        let found = all(sim, now, &format!("/lists/l{l}/subscriptions"), "items", "recipientId");
        let wanted = (!deleted).then(|| subscribers.iter().map(|u| format!("u{u}")).collect());
        assert_eq!(found, wanted, "l{l}");
    }
    for u in 0..15 {
        let reply = sim.handle(now, Request::new("GET", &format!("/profiles/u{u}")).token("t"));
        let fields = |p: &(Option<u8>, Option<u8>)| (p.0.map(u64::from), p.1.map(u64::from));
        let found = (reply.status == 200).then(|| {
            (reply.value()["profile"]["age"].as_u64(), reply.value()["profile"]["size"].as_u64())
        });
        assert_eq!(found, model.profiles.get(&u).map(fields), "u{u}");
    }
    for a in 0..4 {
        let found = all(sim, now, &format!("/audiences/a{a}/members"), "items", "member_id");
        let wanted = model.audiences.contains_key(&a).then(|| model.members(a));
        assert_eq!(found.map(|m| m.into_iter().collect::<BTreeSet<_>>()), wanted, "a{a}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_simulator_and_the_model_agree_after_every_history(steps in proptest::collection::vec(step(), 1..80)) {
        let mut sim = Simulator::new(Options { limits: Vec::new(), ..Options::seeded(1) });
        let (mut model, mut now) = (Model::default(), Micros::ZERO);
        for step in &steps {
            let status = model.apply(step);
            match (request(step), step) {
                (Some(request), _) => {
                    let reply = sim.handle(now, request);
                    prop_assert_eq!(reply.status, status, "{:?}: {}", step, reply.value());
                }
                (None, Step::Wait(ms)) => now = now + Micros::from_millis(u64::from(*ms)),
                (None, _) => {}
            }
        }
        // Audiences follow within their lag; everything else is there at once.
        compare(&mut sim, now + Micros::from_secs(1), &model);
    }
}
