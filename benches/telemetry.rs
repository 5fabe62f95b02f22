//! What telemetry costs: CPU time a request over sockets, with none of it, some of it and all of it in
//! turns.
//!
//! `cargo bench --bench telemetry`. With all of it: metrics, a JSON line, the calls kept to be
//! explained, and spans of one call in a hundred to a collector. The client is on one thread, the
//! vendor and the collector on another; the CPU time of the process without those two is the
//! gateway's. A round with and a round without make one ratio; the median of many is said, since the
//! machine is shared. The clock of tests is compiled in, and slower than the one that is shipped.

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tollgate::call;
use tollgate::config::Config;

use tollgate::identity::NewKey;
use tollgate::ids::{KeyId, RandomId};
use tollgate::pipeline::Pipeline;
use tollgate::proof::SendProof;
use tollgate::record::layer::Recorded;
use tollgate::record::{Marks, Observer, Record};
use tollgate::runtime::State;
use tollgate::server::{self, Answer, Bound, Drain, Limits, RequestBody, Terms, Workers};
use tollgate::telemetry::Telemetry;
use tollgate::telemetry::logs::{AccessLog, Writer};

/// Requests in a round, over all sockets; each has one at a time.
const REQUESTS: usize = 2000;

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// A data port before one pipeline.
#[derive(Clone)]
struct Port(Arc<Pipeline>);

impl Answer for Port {
    type Body = Recorded;

    async fn answer(
        &self,
        request: Request<RequestBody>,
        proof: Arc<SendProof>,
    ) -> Response<Recorded> {
        let request = request.map(call::stream);
        self.0.answer_to(request, proof).await
    }
}

/// What is told of calls.
#[derive(Clone, Copy)]
enum Told {
    Nothing,
    Metrics,
    MetricsAndLines,
    Everything,
}

const VARIANTS: [(Told, &str); 4] = [
    (Told::Nothing, "nothing"),
    (Told::Metrics, "metrics"),
    (Told::MetricsAndLines, "metrics and lines"),
    (Told::Everything, "everything"),
];

/// Gateways that differ in what is told of their calls, and what is around them.
struct Bench {
    client: Runtime,
    _gateway: Runtime,
    vendor: Handle,
    key: String,
    /// One a [`Told`].
    ports: [SocketAddr; 4],
    folder: PathBuf,
}

/// A runtime of one thread, which the returned handle reaches.
fn thread() -> Handle {
    let runtime = current();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

fn current() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a thread can be had")
}

/// Answers everything with a page of brands, or with the empty answer of a collector.
async fn everything(listener: TcpListener) {
    let answer = |request: Request<hyper::body::Incoming>| async move {
        let collects = request.uri().path().ends_with("/v1/traces");
        let _ = request.into_body().collect().await;
        let brand = "{\"id\":\"b\",\"name\":\"a brand\",\"published\":1767323045120},";
        let body = if collects { String::new() } else { brand.repeat(10) };
        let kind = if collects { "application/x-protobuf" } else { "application/json" };
        let response = Response::builder().header("content-type", kind);
        Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).expect("it is complete"))
    };
    while let Ok((tcp, _)) = listener.accept().await {
        let builder = Builder::new(TokioExecutor::new());
        tokio::spawn(async move {
            let _ = builder.serve_connection(TokioIo::new(tcp), service_fn(answer)).await;
        });
    }
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let whole = "a CPU clock counts up from 0";
    Duration::new(time.tv_sec.try_into().expect(whole), time.tv_nsec.try_into().expect(whole))
}

// === impl Bench ===

impl Bench {
    fn start() -> Self {
        let (client, vendor) = (current(), thread());
        let listener = client.block_on(async { vendor.spawn(bind()).await });
        let (listener, address) = listener.expect("the vendor has started");
        vendor.spawn(everything(listener));
        let mut gateway = tokio::runtime::Builder::new_multi_thread();
        let gateway = gateway.worker_threads(1).enable_all().build();
        let gateway = gateway.expect("a thread can be had");
        let folder = std::env::temp_dir().join(format!("tollgate-bench-{}", RandomId::new()));
        std::fs::create_dir_all(&folder).expect("a folder in the temporary one can be made");
        let id = KeyId::try_from("k1".to_owned()).expect("an id");
        let key = NewKey::generate(&id);
        let config = configuration(address, &key, &folder);
        let ports = VARIANTS.map(|(told, _)| gateway.block_on(serve(&config, told)));
        Self { client, _gateway: gateway, vendor, key: key.text, ports, folder }
    }

    /// The gateway's CPU time so far.
    fn spent(&self) -> Duration {
        let vendor = async { cpu(ClockId::ThreadCPUTime) };
        let vendor = self.client.block_on(self.vendor.spawn(vendor)).expect("it runs");
        cpu(ClockId::ProcessCPUTime) - vendor - cpu(ClockId::ThreadCPUTime)
    }

    fn connect(&self, port: SocketAddr, sockets: usize) -> Vec<SendRequest<Empty<Bytes>>> {
        self.client.block_on(join_all((0..sockets).map(|_| async move {
            let tcp = TcpStream::connect(port).await.expect("the gateway listens");
            tcp.set_nodelay(true).expect("it is a socket");
            let (sender, line) =
                hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.expect("HTTP/1.1");
            tokio::spawn(line);
            sender
        })))
    }

    /// CPU time of the gateway for each request to `target`.
    fn round(&self, sockets: &mut [SendRequest<Empty<Bytes>>], target: &str) -> Duration {
        let (before, each) = (self.spent(), REQUESTS / sockets.len());
        self.client.block_on(join_all(sockets.iter_mut().map(|socket| async move {
            for _ in 0..each {
                let request = Request::builder()
                    .uri(target)
                    .header("host", "gateway")
                    .header("x-api-key", &self.key)
                    .header("user-agent", "a bench");
                let request = request.body(Empty::new()).expect("it is complete");
                socket.ready().await.expect("the gateway keeps the socket");
                let response = socket.send_request(request).await.expect("an answer");
                assert_eq!(response.status(), 200, "{target}");
                response.into_body().collect().await.expect("all of it");
            }
        })));
        let requests = u32::try_from(REQUESTS).expect("not so many");
        (self.spent() - before) / requests
    }

    fn compare(&self, (name, target): (&str, &str), sockets: usize, rounds: usize) {
        let mut sockets = self.ports.map(|port| self.connect(port, sockets));
        for sockets in &mut sockets {
            self.round(sockets, target);
        }
        let mut spent = VARIANTS.map(|_| Vec::new());
        for _ in 0..rounds {
            for (spent, sockets) in spent.iter_mut().zip(&mut sockets) {
                spent.push(self.round(sockets, target).as_secs_f64() * 1e6);
            }
        }
        for ((_, told), with) in VARIANTS.iter().zip(&spent) {
            let ratios = with.iter().zip(&spent[0]).map(|(with, without)| with / without);
            let [low, ratio, high] = quartiles(ratios.collect());
            let [_, time, _] = quartiles(with.clone());
            println!("{name}, {told}: {time:.1} µs, ratio {ratio:.3} ({low:.3} to {high:.3})");
        }
    }
}

fn quartiles(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [1, 2, 3].map(|part| figures[figures.len() * part / 4])
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

fn configuration(vendor: SocketAddr, key: &NewKey, folder: &std::path::Path) -> String {
    let token = folder.join("token");
    std::fs::write(&token, "token-of-acme").expect("the folder is ours");
    format!(
        "[vendor]\nbase_url = \"http://{vendor}\"\n[quota]\ncalls = 100000\nwindow = \"1s\"\n\
         [traces]\nendpoint = \"http://{vendor}\"\nratio = 0.01\n\
         [[tenant]]\nid = \"acme\"\n\
         [[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n\
         [[tenant.app]]\nid = \"billing\"\nkeys = [{{ id = \"k1\", sha256 = \"{}\" }}]\n",
        token.display(),
        key.sha256
    )
}

/// Serves a gateway of whose calls so much is told.
async fn serve(text: &str, told: Told) -> SocketAddr {
    let text = match told {
        Told::Everything => text.to_owned(),
        _ => text.replace("[traces]\nendpoint", "[traces]\n# endpoint"),
    };
    let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let (writer, flush) = Writer::start(std::io::sink());
    // Its thread lives as long as the process.
    std::mem::forget(flush);
    let telemetry = Telemetry::new(AccessLog::through(writer.clone()));
    let state = State::new(&config, telemetry).expect("the state can be made");
    let observer: Arc<dyn Observer> = match told {
        Told::Nothing => Arc::new(Nobody),
        Told::Metrics => Arc::new(Telemetry::new(AccessLog::none())),
        Told::MetricsAndLines => Arc::new(Telemetry::new(AccessLog::through(writer))),
        Told::Everything => state.telemetry().clone(),
    };
    let pipeline = Pipeline::observed(&config, &state, observer);
    let (listener, address) = bind().await;
    let second = Duration::from_secs(1);
    let limits = Limits {
        handshake: second,
        head_size: 32 << 10,
        head_fields: 100,
        head_time: 60 * second,
        keep_alive: 600 * second,
        stalled_reader: 60 * second,
        streams: 100,
    };
    let terms = Arc::new(ArcSwap::from_pointee(Terms { limits, tls: None }));
    let bound = Bound::ForMany { sockets: 100, per_peer: None };
    let port = Port(Arc::new(pipeline));
    tokio::spawn(server::serve(listener, (Workers::here(), bound), terms, port, Drain::default()));
    address
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { 11 } else { 41 };
    let bench = Bench::start();
    for sockets in [1, 8] {
        println!("{sockets} requests at a time");
        bench.compare(("a hit", "/brands"), sockets, rounds);
        bench.compare(("a call to the vendor", "/messages"), sockets, rounds);
    }
}
