//! One gateway: the program under a configuration of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

/// Between two looks whether it still runs.
const LOOK: Duration = Duration::from_millis(20);

/// Messages of the log, in their order.
type Said = watch::Sender<Vec<String>>;

/// A running `tollgate serve`. It is ended with the value.
pub struct Gateway {
    process: Process,
    pub data: SocketAddr,
    pub ops: SocketAddr,
    said: watch::Receiver<Vec<String>>,
}

/// It is killed with the value, whether or not it came so far as to serve.
struct Process(Child);

/// The program to test.
fn program() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_tollgate").into();
    std::env::var_os("TOLLGATE_BIN").map_or_else(built, PathBuf::from)
}

impl Gateway {
    /// Starts it under the file `config`, and waits until it listens.
    pub fn start(config: PathBuf, environment: &[(&'static str, PathBuf)]) -> Self {
        let program = program();
        let child = Command::new(&program)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not run: {error}", program.display()));
        let mut process = Process(child);
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let addresses = ["data", "ops"].map(|listener| address(&mut lines, listener));
        let (says, said) = watch::channel(Vec::new());
        std::thread::spawn(move || listen(lines, &says));
        let [data, ops] = addresses.map(|found| {
            found.unwrap_or_else(|| panic!("a gateway does not start: {:?}", process.0.wait()))
        });
        Self { process, data, ops, said }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.0), signal).unwrap();
    }

    /// Ends it at once, as a crash does.
    pub fn kill(self) {
        drop(self);
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) {
        while self.process.0.try_wait().unwrap().is_none() {
            sleep(LOOK).await;
        }
    }

    /// Waits until it logged `message` more than `before` times.
    pub async fn says(&mut self, message: &str, before: usize) {
        let enough = |lines: &Vec<String>| count(lines, message) > before;
        self.said.wait_for(enough).await.expect("it logs while it runs");
    }

    /// How often it logged `message`.
    pub fn said(&self, message: &str) -> usize {
        count(&self.said.borrow(), message)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn count(lines: &[String], message: &str) -> usize {
    lines.iter().filter(|line| *line == message).count()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_default()
}

/// The address of the next listener, which must be `listener`.
fn address(
    lines: &mut std::io::Lines<BufReader<ChildStdout>>,
    listener: &str,
) -> Option<SocketAddr> {
    let lines = lines.map_while(Result::ok).map(|line| parsed(&line));
    let line = { lines }.find(|line| line["message"] == "listening")?;
    assert_eq!(line["listener"], listener, "{line}");
    line["addr"].as_str()?.parse().ok()
}

/// Reads the log to its end: a full pipe would hold the gateway up.
fn listen(lines: std::io::Lines<BufReader<ChildStdout>>, says: &Said) {
    for line in lines.map_while(Result::ok) {
        if let Some(message) = parsed(&line)["message"].as_str() {
            says.send_modify(|said| said.push(message.to_owned()));
        }
    }
}
