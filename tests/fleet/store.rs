//! What the gateways of a fleet share their quota through.

use std::process::Command;
use std::time::Duration;

use tokio::task::block_in_place;

use crate::form::Form;
use crate::proxy::Proxy;
use crate::servers::{Server, free_port};

/// The kinds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One Redis, to which each gateway has a line of its own.
    Redis,
    /// A primary, a replica, and three sentinels.
    Sentinels,
    /// Three nodes of a cluster.
    Cluster,
    /// None: each gateway has a fixed share.
    Shares,
}

/// Servers that run. The last of them are ended first.
pub struct Store {
    sharing: Sharing,
    /// The line of each gateway.
    pub lines: Vec<Proxy>,
    /// The line over which a replica follows its primary.
    pub following: Option<Proxy>,
    pub sentinels: Vec<Server>,
    /// The one server, the primary and its replica, or the nodes.
    pub servers: Vec<Server>,
}

impl Store {
    /// Starts it for `gateways`.
    pub async fn start(sharing: Sharing, gateways: usize) -> Self {
        let mut store = Self {
            sharing,
            lines: Vec::new(),
            following: None,
            sentinels: Vec::new(),
            servers: Vec::new(),
        };
        match sharing {
            Sharing::Redis => store.alone(gateways).await,
            Sharing::Sentinels => store.watched().await,
            Sharing::Cluster => store.servers = block_in_place(cluster),
            Sharing::Shares => {}
        }
        store
    }

    /// Their lines of the gateway `index` in its configuration.
    pub fn settings(&self, index: usize, form: &Form) -> String {
        let of = |servers: &[Server]| -> String {
            let hosts: Vec<String> =
                servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
            hosts.join(",")
        };
        let place = match self.sharing {
            Sharing::Shares => return String::new(),
            Sharing::Redis => {
                format!("redis = \"redis://127.0.0.1:{}\"", self.lines[index].port)
            }
            Sharing::Sentinels => {
                format!("redis = \"redis://{}\"\nsentinel = \"main\"", of(&self.sentinels))
            }
            Sharing::Cluster => {
                format!("redis = \"redis://{}\"\ncluster = true", of(&self.servers[..2]))
            }
        };
        let [lease, timeout] = [form.lease, form.timeout].map(|span| span.as_millis());
        format!("[shared]\n{place}\nlease = \"{lease}ms\"\ntimeout = \"{timeout}ms\"\n")
    }

    async fn alone(&mut self, gateways: usize) {
        let server = block_in_place(|| Server::redis(""));
        for _ in 0..gateways {
            self.lines.push(Proxy::to(server.port).await);
        }
        self.servers.push(server);
    }

    /// A replica follows over a line that can be held up; sentinels leave it so for as long as their
    /// `failover-timeout`.
    async fn watched(&mut self) {
        let primary = Server::redis("repl-diskless-sync-delay 0");
        let line = Proxy::to(primary.port).await;
        let replica = Server::redis(&format!("replicaof 127.0.0.1 {}", line.port));
        let settings = format!(
            "sentinel monitor main 127.0.0.1 {} 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 600000",
            primary.port
        );
        self.sentinels = (0..3).map(|_| Server::sentinel(&settings)).collect();
        self.servers = vec![primary, replica];
        self.following = Some(line);
        let known = |server: &Server| {
            let info = server.ask(&["INFO", "sentinel"]).unwrap();
            format!("{info:?}").contains("slaves=1,sentinels=3")
        };
        while !self.sentinels.iter().all(known) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn cluster() -> Vec<Server> {
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
