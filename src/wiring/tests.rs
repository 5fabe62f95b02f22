//! The numbers that the parts are given are those that calls carry.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::{admission, cache};
use crate::config::Config;
use crate::identity::{NewKey, Revoked};
use crate::ids::{ConnectionId, KeyId, RandomId};
use crate::numbers::{AppIx, ConnectionIx};

/// The most connections and the most apps of a tenant.
const MOST: usize = 4;

/// How many connections a tenant has, and for each app the places of those that it lists; `None`
/// for an app without a list.
type Shape = (usize, Vec<Option<Vec<usize>>>);

fn tenant() -> impl Strategy<Value = Shape> {
    (1..=MOST).prop_flat_map(|connections| {
        let places: Vec<_> = (0..connections).collect();
        let listed = subsequence(places, 1..=connections).prop_shuffle().prop_map(Some);
        // An app may leave its list out only if there is one connection.
        let list =
            if connections == 1 { prop_oneof![Just(None), listed].boxed() } else { listed.boxed() };
        (Just(connections), prop::collection::vec(list, 0..=MOST))
    })
}

/// The configuration file, and a key of each app with the names of the connections that it may use.
fn written(tenants: &[Shape], tokens: &[PathBuf]) -> (String, Vec<(NewKey, Vec<String>)>) {
    let (mut text, mut apps) = (String::new(), Vec::new());
    let mut tokens = tokens.iter();
    for (t, (connections, lists)) in tenants.iter().enumerate() {
        let _ = write!(text, "[[tenant]]\nid = \"t{t}\"\n");
        let name = |c: usize| format!("t{t}-c{c}");
        for c in 0..*connections {
            let (id, token) = (name(c), tokens.next().unwrap().display());
            let _ = write!(
                text,
                "[[tenant.connection]]\nid = \"{id}\"\ntoken = {{ file = '{token}' }}\n"
            );
        }
        for (a, list) in lists.iter().enumerate() {
            let key = NewKey::generate(&KeyId::try_from(format!("t{t}a{a}")).unwrap());
            let _ = write!(
                text,
                "[[tenant.app]]\nid = \"a{a}\"\nkeys = [{{ id = \"t{t}a{a}\", sha256 = \"{}\" }}]\n",
                key.sha256
            );
            let named: Vec<String> = list.as_ref().map_or_else(
                || (0..*connections).map(name).collect(),
                |list| list.iter().map(|c| name(*c)).collect(),
            );
            if list.is_some() {
                let _ = writeln!(text, "connections = {named:?}");
            }
            apps.push((key, named));
        }
    }
    (text, apps)
}

/// A call carries the numbers of the configuration. By them, admission and the cache find its
/// entries in the lists that they were given.
#[test]
fn the_numbers_of_connections_and_apps_are_their_places_in_the_lists_of_admission_and_cache() {
    let folder = std::env::temp_dir().join(format!("tollgate-numbers-{}", RandomId::new()));
    std::fs::create_dir(&folder).unwrap();
    let tokens: Vec<_> = (0..MOST * MOST).map(|n| folder.join(n.to_string())).collect();
    tokens
        .iter()
        .enumerate()
        .for_each(|(n, file)| std::fs::write(file, format!("tok-{n}")).unwrap());
    let mut config = ProptestConfig::with_cases(64);
    config.failure_persistence = None;
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let found = runner.run(&prop::collection::vec(tenant(), 1..=MOST), |tenants| {
        let (text, apps) = written(&tenants, &tokens);
        let config = Config::parse(&text).unwrap();
        let (plan, kept) = (admission::plan(&config), cache::plan(&config));
        let owned = plan.tenants.iter().flat_map(|tenant| {
            tenant.connections.iter().map(move |connection| (tenant, &connection.id))
        });
        let owned: Vec<_> = owned.collect();
        for (key, named) in apps {
            let (app, _) = config
                .keys
                .find(key.text.as_bytes(), SystemTime::UNIX_EPOCH, &Revoked::default())
                .unwrap();
            let ids: Vec<_> = app.connections.iter().map(|it| it.id.to_string()).collect();
            prop_assert_eq!(ids, named);
            for connection in &app.connections {
                let is_it = |id: &ConnectionId| *id == connection.id;
                let place = owned.iter().position(|(_, id)| is_it(id)).unwrap();
                let in_cache = kept.connections.iter().position(|it| is_it(&it.id)).unwrap();
                let users = &owned[place].0.apps;
                let mut users = users.iter().filter(|user| is_it(&user.connection));
                let user = users.position(|user| user.app == app.id).unwrap();
                prop_assert_eq!(connection.ix, ConnectionIx::from(place));
                prop_assert_eq!(connection.ix, ConnectionIx::from(in_cache));
                prop_assert_eq!(connection.app, AppIx::from(user));
            }
        }
        Ok(())
    });
    std::fs::remove_dir_all(folder).unwrap();
    found.unwrap();
}
