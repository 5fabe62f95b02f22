//! A cluster of three nodes.

use std::process::Command;
use std::time::Duration;

use tollgate::shared::{Batch, Script, SharedStore, StoreError};

use crate::rig::Rig;
use crate::servers::{Server, free_port};

pub fn cluster() -> Vec<Server> {
    let node = |_| {
        let settings = |port: u16| {
            format!(
                "port {port}\ncluster-port {}\ncluster-enabled yes\ncluster-node-timeout 2000\nsave \"\"\n",
                free_port()
            )
        };
        Server::any("redis-server", &settings)
    };
    let nodes: Vec<Server> = (0..3).map(node).collect();
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)))
        .arg("--cluster-yes")
        .output()
        .expect("redis-cli is needed");
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success() && said.contains("All 16384 slots covered"), "{said}");
    nodes
}

/// The store, by one node.
async fn by_one(nodes: &[Server]) -> Rig {
    Rig::connected(&format!("redis = \"redis://127.0.0.1:{}\"\ncluster = true", nodes[1].port))
        .await
}

/// How many of `nodes` have a key of the group.
fn holders(nodes: &[Server], group: &str) -> usize {
    let has = |node: &&Server| {
        let keys = node.ask(&["KEYS", &format!("tg:{{{group}}}:*")]).unwrap();
        keys != redis::Value::Array(Vec::new())
    };
    nodes.iter().filter(has).count()
}

async fn add(store: &SharedStore, script: &Script, group: &str) -> Result<String, StoreError> {
    let keys = [store.key(group, "a"), store.key(group, "b")];
    let answer = store.eval(script, &[&keys[0], &keys[1]], &[b"1"]).await?;
    Ok(String::from_utf8(answer.to_vec()).unwrap())
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn keys_of_a_group_lie_on_one_node_and_a_script_reaches_each() {
    let nodes = cluster();
    let rig = by_one(&nodes).await;
    let store = &rig.store;
    let script =
        Script::new("redis.call('INCR', KEYS[1]); return redis.call('INCR', KEYS[2]) .. ARGV[1]");
    let groups: Vec<String> = (0..20).map(|group| format!("g{group}")).collect();
    for round in 1..=2 {
        for group in &groups {
            assert_eq!(add(store, &script, group).await.unwrap(), format!("{round}1"), "{group}");
            assert_eq!(holders(&nodes, group), 1, "{group}");
        }
        for node in &nodes {
            node.ask(&["SCRIPT", "FLUSH"]).unwrap();
        }
    }
    let key = store.key("g1", "a");
    let batch = Batch::default().put(&key, b"7", Duration::from_secs(60)).get(&key);
    assert_eq!(store.run(&batch).await.unwrap()[1].as_deref(), Some(&b"7"[..]));
    let apart = store.eval(&script, &[&key, &store.key("g2", "a")], &[b"1"]).await;
    assert!(apart.is_err(), "keys of two groups: {apart:?}");
    assert!(store.status().connected);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_node_that_hangs_holds_up_its_own_keys_only_and_each_command_ends() {
    let nodes = cluster();
    let rig = by_one(&nodes).await;
    let store = &rig.store;
    let script = Script::new("return redis.call('INCR', KEYS[1]) .. ''");
    // The keys that the store looks at by itself are of this group.
    let home = nodes.iter().position(|node| holders(std::slice::from_ref(node), "0") == 1).unwrap();
    let frozen = &nodes[(home + 1) % 3];
    let mut group = 0;
    let theirs = loop {
        let name = format!("g{group}");
        add(store, &script, &name).await.unwrap();
        if holders(std::slice::from_ref(frozen), &name) == 1 {
            break name;
        }
        group += 1;
    };
    frozen.freeze();
    let late = add(store, &script, &theirs).await;
    assert!(late.is_err(), "{late:?}");
    frozen.thaw();
    nodes[home].freeze();
    rig.goes().await;
    nodes[home].thaw();
    rig.comes().await;
}
