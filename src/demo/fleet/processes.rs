//! The programs of the demo: a Redis, and gateways. Each ends with its handle.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::ids::RandomId;

/// Time to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is looked for on the path, in this order.
const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// A Redis that keeps nothing.
pub(super) struct Redis {
    port: u16,
    _child: Child,
}

/// A gateway.
pub(super) struct GatewayProcess {
    /// Where applications send their requests.
    pub(super) data: SocketAddr,
    file: PathBuf,
    _child: Child,
}

impl Redis {
    pub(super) fn start() -> io::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let text = port.to_string();
        for server in SERVERS {
            let mut command = Command::new(server);
            command.args([
                "--bind",
                "127.0.0.1",
                "--port",
                &text,
                "--save",
                "",
                "--appendonly",
                "no",
            ]);
            match quiet(&mut command).stdout(Stdio::null()).spawn() {
                Ok(child) => return Ok(Self { port, _child: child }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(
            "there is no redis-server here: install it, such as with `apt-get install redis-server` or `brew install redis`, and run this again",
        ))
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

impl GatewayProcess {
    /// This program, with the configuration `text`.
    pub(super) async fn start(text: &str) -> io::Result<Self> {
        let file = std::env::temp_dir().join(format!("tollgate-demo-{}.toml", RandomId::new()));
        std::fs::write(&file, text)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--config").arg(&file);
        let mut child = quiet(&mut command).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut lines = BufReader::new(output).lines();
        let listens = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(data) = listening(&line) {
                    return Ok(data);
                }
            }
            Err(io::Error::other("a gateway did not start"))
        };
        let late = |_| Err(io::Error::other("a gateway did not start in time"));
        let data = tokio::time::timeout(PATIENCE, listens).await.unwrap_or_else(late)?;
        // Its access lines are read, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { data, file, _child: child })
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Nothing to read, nothing to say beside the output, and an end with us.
fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true)
}

/// The address of the data port, in the line that tells it.
fn listening(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_data = line["listener"] == "data";
    is_data.then(|| line["addr"].as_str()?.parse().ok()).flatten()
}
