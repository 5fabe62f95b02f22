//! The program itself: how it starts, reloads, drains and stops.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tollgate::ids::RandomId;

use crate::rig::{Certificate, Client, PORTS, raw};
use crate::support::Setup;

/// A running `tollgate serve`; it is ended with the test.
pub(crate) struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    pub(crate) file: PathBuf,
    pub(crate) data: SocketAddr,
    pub(crate) ops: SocketAddr,
    /// Lines of the log that were read on the way to others.
    pub(crate) said: Vec<Value>,
}

pub(crate) fn tollgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same under limits that a shell sets.
pub(crate) fn under(limits: &str) -> Command {
    let mut command = Command::new("sh");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\""));
    command.arg(env!("CARGO_BIN_EXE_tollgate"));
    command
}

impl Process {
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::start_by(setup, tollgate())
    }

    /// The same with another command in place of `tollgate`.
    pub(crate) fn start_by(setup: &Setup, mut command: Command) -> Self {
        let file = std::env::temp_dir().join(format!("tollgate-process-{}.toml", RandomId::new()));
        std::fs::write(&file, &setup.text).unwrap();
        let mut child = command.arg("serve").arg("--config").arg(&file).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = Vec::new();
        let mut address = |listener: &str| {
            let line = line_with(&mut output, "listening", &mut said);
            assert_eq!(line["listener"], listener, "{line}");
            line["addr"].as_str().unwrap().parse().unwrap()
        };
        let (data, ops) = (address("data"), address("ops"));
        Self { child, output, file, data, ops, said }
    }

    /// Writes the configuration anew; SIGHUP makes it count.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(&self.file, text).unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it with `SIGKILL`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The next line of the log whose message is `message`.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        line_with(&mut self.output, message, &mut self.said)
    }

    /// Waits for the end; gives what the log still held.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The next line whose message is `message`; those before it are added to `said`.
fn line_with(output: &mut impl std::io::BufRead, message: &str, said: &mut Vec<Value>) -> Value {
    loop {
        let mut text = String::new();
        assert!(output.read_line(&mut text).unwrap() > 0, "the log ended before '{message}'");
        let line: Value = serde_json::from_str(&text).unwrap();
        if line["message"] == message {
            return line;
        }
        said.push(line);
    }
}

/// A simulator on a port of its own.
pub(crate) async fn courier() -> (simulator::Server, SocketAddr) {
    let courier = simulator::Server::new(simulator::Options::default());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    tokio::spawn(courier.clone().serve(port, std::future::pending()));
    (courier, address)
}

pub(crate) fn setup(vendor: SocketAddr) -> Setup {
    Setup::new(&format!("{PORTS}grace = \"10s\"\n[vendor]\nbase_url = \"http://{vendor}\"\n"))
}

pub(crate) async fn status(address: SocketAddr, target: &str, key: &str) -> u16 {
    let mut client = Client::h1(TcpStream::connect(address).await.unwrap()).await;
    client.send("GET", target, key, Vec::new()).await.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_calls_finish_and_exits_with_0() {
    let (courier, vendor) = courier().await;
    let setup = setup(vendor);
    let mut process = Process::start(&setup);
    let request = format!(
        "GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nx-simulator-latency-ms: 2000\r\n\r\n",
        setup.acme
    );
    let (data, ops) = (process.data, process.ops);
    let idle = TcpStream::connect(data).await.unwrap();
    let call = tokio::spawn(async move { raw(data, request.as_bytes(), "").await });
    while crate::support::arrived(&courier).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(ready(ops).await.starts_with("HTTP/1.1 200"));
    process.signal("TERM");
    process.line("draining");
    assert!(ready(ops).await.starts_with("HTTP/1.1 503"), "readiness goes first");
    while TcpStream::connect(data).await.is_ok() {
        assert!(!call.is_finished(), "new connections are refused while calls finish");
        tokio::task::yield_now().await;
    }
    let answer = call.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"),
        "{answer}"
    );
    let (status, rest) = process.end();
    assert_eq!(status.code(), Some(0), "{rest}");
    assert!(rest.contains("\"operation\":\"messages.list\"") && rest.contains("stopped"), "{rest}");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn load_balancers_hear_of_the_end_before_a_connection_is_refused() {
    let (_courier, vendor) = courier().await;
    let mut setup = setup(vendor);
    setup.text = setup.text.replace("drain_delay = \"0s\"", "drain_delay = \"2s\"");
    let mut process = Process::start(&setup);
    process.signal("TERM");
    assert_eq!(process.line("draining")["delay_s"], 2.0);
    assert!(ready(process.ops).await.starts_with("HTTP/1.1 503"));
    assert_eq!(status(process.data, "/.tollgate/health", "").await, 503);
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200, "still served");
    assert_eq!(process.end().0.code(), Some(0));
}

async fn ready(ops: SocketAddr) -> String {
    raw(ops, b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_the_grace_is_said_and_exits_with_1() {
    let (courier, vendor) = courier().await;
    let mut setup = setup(vendor);
    setup.text = setup.text.replace("grace = \"10s\"", "grace = \"200ms\"");
    let mut process = Process::start(&setup);
    let request = format!(
        "GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nx-simulator-latency-ms: 30000\r\n\r\n",
        setup.acme
    );
    let data = process.data;
    let call = tokio::spawn(async move { raw(data, request.as_bytes(), "").await });
    while crate::support::arrived(&courier).is_empty() {
        tokio::task::yield_now().await;
    }
    process.signal("TERM");
    let line = process.line("grace is over");
    assert_eq!(line["connections"], 1, "{line}");
    assert_eq!(process.end().0.code(), Some(1));
    let told = call.await.unwrap().to_ascii_lowercase();
    assert!(told.starts_with("http/1.1 503 "), "{told}");
    for part in ["urn:tollgate:stopping", "retry-after: 1", "tollgate-outcome: unknown"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_second_signal_nothing_is_waited_for_and_who_waits_hears_it() {
    let (courier, vendor) = courier().await;
    let setup = setup(vendor);
    let mut process = Process::start(&setup);
    let request = format!(
        "GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nx-simulator-latency-ms: 30000\r\n\r\n",
        setup.acme
    );
    let data = process.data;
    let call = tokio::spawn(async move { raw(data, request.as_bytes(), "\r\n\r\n").await });
    while crate::support::arrived(&courier).is_empty() {
        tokio::task::yield_now().await;
    }
    process.signal("TERM");
    process.line("draining");
    process.signal("TERM");
    let left = process.line("sent, and its outcome was not awaited");
    assert_eq!(left["operation"], "messages.list", "{left}");
    assert_eq!(process.end().0.code(), Some(1));
    let told = call.await.unwrap().to_ascii_lowercase();
    assert!(told.starts_with("http/1.1 503 "), "{told}");
    assert!(told.contains("tollgate-outcome: unknown"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_swaps_a_good_configuration_and_a_bad_one_changes_nothing() {
    let (_courier, vendor) = courier().await;
    let setup = setup(vendor);
    let mut process = Process::start(&setup);
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);

    std::fs::write(&process.file, "[server]\nlisten = 1\n").unwrap();
    process.signal("HUP");
    let line = process.line("configuration not reloaded; the old one stays");
    assert!(line["reason"].as_str().unwrap().contains(":2:10: "), "{line}");
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);

    let moved = setup.text.replacen("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:1\"", 1);
    std::fs::write(&process.file, moved).unwrap();
    process.signal("HUP");
    let line = process.line("configuration not reloaded; the old one stays");
    assert!(line["reason"].as_str().unwrap().contains("restart it"), "{line}");

    let secure = format!("{}grace = ", Certificate::new().setting());
    std::fs::write(&process.file, setup.text.replacen("grace = ", &secure, 1)).unwrap();
    process.signal("HUP");
    let line = process.line("configuration not reloaded; the old one stays");
    assert!(line["reason"].as_str().unwrap().contains("server.tls"), "{line}");

    std::fs::write(&process.file, format!("[state]\ndir = '/elsewhere'\n{}", setup.text)).unwrap();
    process.signal("HUP");
    let line = process.line("configuration not reloaded; the old one stays");
    assert!(
        line["reason"].as_str().unwrap().contains("[state] and [shared] can't change"),
        "{line}"
    );

    std::fs::write(
        &process.file,
        setup.text.replace(crate::support::ALL, "scopes = [\"lists\"]\n"),
    )
    .unwrap();
    process.signal("HUP");
    process.line("configuration reloaded");
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 403);
    assert_eq!(status(process.data, "/lists", &setup.acme).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_changes_what_is_logged_and_how() {
    let (_courier, vendor) = courier().await;
    let setup = setup(vendor);
    let mut process = Process::start(&setup);
    let reload = |process: &Process, logs: &str| {
        let text = format!("[logs]\n{logs}\n{}", setup.text);
        // The last reload is not said: its number tells, and what it forbids.
        let text = if logs.contains("level =") {
            text.replace(crate::support::ALL, "scopes = [\"lists\"]\n")
        } else {
            text
        };
        std::fs::write(&process.file, text).unwrap();
        process.signal("HUP");
    };
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);
    reload(&process, "levels = { access = \"warn\" }");
    process.line("configuration reloaded");
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);
    reload(&process, "format = \"human\"");
    let mut text = String::new();
    process.output.read_line(&mut text).unwrap();
    assert!(text.contains("INFO   tollgate::cli::serve: configuration reloaded"), "{text}");
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);
    reload(&process, "format = \"human\"\nlevel = \"warn\"");
    let page = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let third = "tollgate_config_reloads_total{outcome=\"done\"} 3";
    while !raw(process.ops, page, "").await.contains(third) {
        tokio::task::yield_now().await;
    }
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 403);
    process.signal("TERM");
    let (_, rest) = process.end();
    let calls: Vec<&str> = rest.lines().filter(|line| line.contains("messages.list")).collect();
    assert!(!calls.is_empty() && calls.iter().all(|call| call.contains("  200  GET ")), "{rest}");
    assert!(!rest.contains("reloaded") && !rest.contains("draining"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_away_at_start_is_a_502_until_it_is_there() {
    let vendor = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = setup(vendor);
    let process = Process::start(&setup);
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 502);
    let port = TcpListener::bind(vendor).await.unwrap();
    let courier = simulator::Server::new(simulator::Options::default());
    tokio::spawn(courier.serve(port, std::future::pending()));
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_and_nothing_runs() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for key in ["server", "ops"] {
        let mut setup = setup(SocketAddr::from(([127, 0, 0, 1], 9)));
        let table = format!("[{key}]\nlisten = \"127.0.0.1:0\"");
        setup.text = setup.text.replace(&table, &format!("[{key}]\nlisten = \"{address}\""));
        let file = std::env::temp_dir().join(format!("tollgate-taken-{}.toml", RandomId::new()));
        std::fs::write(&file, &setup.text).unwrap();
        let output = tollgate().arg("serve").arg("--config").arg(&file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("cannot listen on {address} ({key}.listen)")), "{text}");
    }
    let output = tollgate().args(["simulate", "--listen", &address.to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("--listen"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_asks_a_running_gateway() {
    let (_courier, vendor) = courier().await;
    let process = Process::start(&setup(vendor));
    let ask = |ops: SocketAddr| {
        tollgate().args(["healthcheck", "--ops", &ops.to_string()]).output().unwrap()
    };
    assert_eq!(ask(process.ops).status.code(), Some(0));
    assert_eq!(ask(vendor).status.code(), Some(1), "somebody else answers there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulators_clock_is_this_machines_unless_answers_shall_be_the_same_again() {
    for (seed, right) in [(&[][..], true), (&["--seed", "7"], false)] {
        let mut command = tollgate();
        let mut child =
            command.args(["simulate", "--listen", "127.0.0.1:0"]).args(seed).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        let request = b"GET /brands HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = raw(address, request, "").await;
        child.kill().unwrap();
        child.wait().unwrap();
        let date = answer.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
        let date = httpdate::parse_http_date(date).unwrap();
        let now = tollgate::clock::wall();
        let apart = now.duration_since(date).unwrap_or_else(|early| early.duration());
        assert_eq!(apart < std::time::Duration::from_secs(3600), right, "{seed:?} {apart:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simulate_prints_its_address_and_refuses_a_script_that_it_does_not_understand() {
    let mut child =
        tollgate().args(["simulate", "--listen", "127.0.0.1:0", "--seed", "7"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address: SocketAddr = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    assert_eq!(
        raw(address, b"GET /messages HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "")
            .await
            .get(..12),
        Some("HTTP/1.1 403")
    );
    let sent = Command::new("kill").arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let script = std::env::temp_dir().join(format!("tollgate-script-{}.json", RandomId::new()));
    std::fs::write(&script, "{\"swiches\":{}}").unwrap();
    let output = tollgate().arg("simulate").arg("--script").arg(&script).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(64)
            && text.contains("unknown field `swiches`")
            && text.contains("line 1"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_remembers_the_calls_that_were_under_way() {
    let (courier, vendor) = courier().await;
    let dir = std::env::temp_dir().join(format!("tollgate-killed-{}", RandomId::new()));
    let head = format!(
        "{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n[state]\ndir = '{}'\n",
        dir.display()
    );
    let setup = Setup::with_quota(&head, "[quota]\ncalls = 3\n");
    let first = Process::start(&setup);
    let slow = format!(
        "GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nx-simulator-latency-ms: 60000\r\n\r\n",
        setup.acme
    );
    let data = first.data;
    let call = tokio::spawn(async move { raw(data, slow.as_bytes(), "").await });
    while crate::support::arrived(&courier).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(status(first.data, "/messages", &setup.acme).await, 200);
    first.kill();
    assert_eq!(call.await.unwrap(), "");
    let second = Process::start(&setup);
    assert_eq!(status(second.data, "/messages", &setup.acme).await, 200);
    assert_eq!(
        status(second.data, "/messages", &setup.acme).await,
        429,
        "one rests, one may still be counted"
    );
}
