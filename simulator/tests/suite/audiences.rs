//! Audiences: who is in them, from when on, and why.

use crate::common::Courier;
use serde_json::{Value, json};
use simulator::{Capacity, Options, Simulator};

fn older_than(age: u8) -> Value {
    json!({ "filter": { "operator": "GT", "path": "age", "value": age } })
}

fn age(age: u8) -> Value {
    json!({ "profile": { "age": age } })
}

fn members(c: &mut Courier) -> Value {
    c.expect(200, "GET", "/audiences/a/members", Value::Null)["items"].clone()
}

fn count(c: &mut Courier) -> usize {
    members(c).as_array().map_or(0, Vec::len)
}

#[test]
fn a_member_tells_since_when_and_under_which_version_and_filter() {
    let mut c = Courier::new();
    c.expect(200, "PUT", "/audiences/a", older_than(20));
    c.expect(200, "POST", "/profiles/u1", age(30));
    c.later(5000);
    c.expect(200, "PUT", "/audiences/a", older_than(10));
    c.expect(200, "POST", "/profiles/u2", age(15));
    c.later(1000);
    let all = members(&mut c);
    let shown = ["audience_version", "added_at", "reason"]
        .map(|name| all.as_array().unwrap().iter().map(|m| m[name].clone()).collect::<Vec<_>>());
    let wanted: [Vec<Value>; 3] = [
        vec![json!(1), json!(2)],
        vec![json!("2026-01-02T03:04:06.000Z"), json!("2026-01-02T03:04:11.000Z")],
        vec![json!("GT('age', '20') => true"), json!("GT('age', '10') => true")],
    ];
    assert_eq!(shown, wanted);
}

#[test]
fn a_new_filter_lets_in_and_puts_out_a_moment_later() {
    let mut c = Courier::new();
    c.expect(200, "PUT", "/audiences/a", older_than(20));
    c.expect(200, "POST", "/profiles/u1", age(30));
    c.later(1000);
    assert_eq!(count(&mut c), 1);
    c.expect(200, "PUT", "/audiences/a", older_than(40));
    assert_eq!(count(&mut c), 1);
    c.later(1000);
    assert_eq!(count(&mut c), 0);
}

#[test]
fn a_redefinition_sees_that_a_profile_is_gone_before_its_own_moment_comes() {
    let mut c = Courier::new();
    c.expect(200, "PUT", "/audiences/a", older_than(20));
    c.expect(200, "POST", "/profiles/u1", age(30));
    c.later(1000);
    c.expect(200, "PUT", "/audiences/a", older_than(10));
    c.later(500);
    c.expect(204, "DELETE", "/profiles/u1", Value::Null);
    assert_eq!(count(&mut c), 1);
    c.later(500);
    assert_eq!(count(&mut c), 0);
}

#[test]
fn either_condition_is_enough_under_or_and_both_are_needed_under_and() {
    let mut c = Courier::new();
    c.expect(200, "POST", "/profiles/u1", json!({ "profile": { "age": 30, "city": "Turin" } }));
    let both = |operator: &str| json!([{ "operator": "GT", "path": "age", "value": 20 }, { "operator": "EQ", "path": "city", "value": operator }]);
    for (operator, members) in [("OR", 1), ("AND", 0)] {
        let inner = json!({ "filter": { "operator": operator, "filters": both(operator) } });
        let outer = json!({ "operator": operator, "filter": { "filters": both(operator), "operator": null } });
        for body in [inner, outer] {
            c.expect(200, "PUT", "/audiences/a", body);
            c.later(1000);
            assert_eq!(count(&mut c), members, "{operator}");
        }
    }
}

#[test]
fn a_clock_set_back_delays_no_member_for_hours() {
    let mut c = Courier::new();
    c.expect(200, "PUT", "/audiences/a", older_than(20));
    c.expect(200, "POST", "/profiles/u1", age(30));
    c.sim.clock().step(-3_600_000);
    assert_eq!(count(&mut c), 1);
}

#[test]
fn what_is_due_is_bounded_however_long_the_lag() {
    let capacity = Capacity { rows: 3, ..Capacity::default() };
    let mut c = Courier {
        sim: Simulator::new(Options { capacity, ..Options::default() }),
        ..Courier::new()
    };
    c.sim.options().switches.audience_lag_ms = u64::MAX / 2;
    c.expect(200, "PUT", "/audiences/a", older_than(20));
    for n in 0..2 {
        assert_eq!(count(&mut c), 0, "{n}");
        c.expect(200, "POST", "/profiles/u1", age(30));
    }
    // The queue was full, so the oldest write was computed early.
    assert_eq!(count(&mut c), 1);
}
