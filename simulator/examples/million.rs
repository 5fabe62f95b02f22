//! `million [CALLS]` sends a mix of calls through the pure core, in virtual time.
//!
//! It prints what one call costs. Run it in release.

use serde_json::json;
use simulator::{Micros, Options, Request, Rng, Simulator};

fn main() {
    let calls: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut sim = Simulator::new(Options { limits: Vec::new(), ..Options::seeded(1) });
    let mut dice = Rng::new(2);
    let start = tokio::time::Instant::now();
    let mut statuses = std::collections::BTreeMap::new();
    for n in 0..calls {
        let request = mixed(n, dice.next());
        // A hundred calls a second, so a million calls take almost three hours of virtual time.
        let reply = sim.handle(Micros::from_millis(n * 10), request);
        *statuses.entry(reply.status).or_insert(0_u64) += 1;
    }
    let spent = start.elapsed();
    let largest = sim.largest(Micros::from_millis(calls * 10), "t0", None);
    #[expect(clippy::print_stdout, reason = "the figures are what this program has to say")]
    {
        println!(
            "{calls} calls in {spent:?}, {:.2} us each; statuses {statuses:?}",
            spent.as_secs_f64() * 1e6 / calls as f64
        );
        println!("largest counts of t0: {}", json!(largest));
    }
}

/// Sends, reads and writes in about the proportions of a busy application.
fn mixed(n: u64, dice: u64) -> Request {
    let (user, list, token) = (dice % 5000, dice / 7 % 200, format!("t{}", n % 4));
    let request = match dice / 11 % 20 {
        // An audience is redefined every ten seconds, far more often than by hand. Each time all
        // profiles are looked at.
        _ if n % 1000 == 999 => Request::new("PUT", &format!("/audiences/a{}", user % 5))
            .json(&json!({ "filter": { "operator": "GT", "path": "age", "value": user } })),
        0..=6 => Request::new("POST", "/send")
            .header("idempotency-key", &format!("k{n}"))
            .json(&json!({ "message": { "to": { "user_id": format!("u{user}") }, "content": { "title": "t", "body": format!("b{n}") } } })),
        7..=9 => Request::new("POST", &format!("/profiles/u{user}")).json(&json!({ "profile": { "email": "u@example.com", "age": user } })),
        10 => Request::new("GET", &format!("/profiles/u{user}")),
        11..=12 => Request::new("GET", "/brands"),
        13 => Request::new("PUT", &format!("/lists/l{list}")).json(&json!({ "name": "n" })),
        14 => Request::new("POST", &format!("/lists/l{list}/subscriptions")).json(&json!({ "recipients": [{ "recipientId": format!("u{user}") }] })),
        15 => Request::new("GET", &format!("/lists/l{list}/subscriptions")),
        16 => Request::new("GET", "/lists"),
        17 => Request::new("GET", "/messages"),
        18 => Request::new("GET", &format!("/audiences/a{}/members", user % 5)),
        _ => Request::new("GET", "/tenants"),
    };
    request.token(&token)
}
