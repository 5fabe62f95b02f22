//! The way of spans to a collector over TLS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::rig::{Certificate, Client, Rig};

/// Names of spans as they arrive.
type Names = Arc<Mutex<Vec<String>>>;

/// A collector with a certificate that no public root knows.
async fn collector(certificate: &Certificate) -> (String, Names) {
    let tls = tollgate::tls::server(&certificate.cert, &certificate.key).unwrap();
    let tls = tls.resuming(&tollgate::tls::Tickets::default());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (endpoint, names) = (format!("https://{}", port.local_addr().unwrap()), Names::default());
    let seen = names.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = port.accept().await {
            let (acceptor, seen) = (TlsAcceptor::from(tls.clone()), seen.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                let service = service_fn(move |request| take(request, seen.clone()));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (endpoint, names)
}

async fn take(request: Request<Incoming>, names: Names) -> hyper::Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let sent = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = sent.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    names.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans).map(|span| span.name));
    Ok(Response::new(Full::default()))
}

/// A gateway that traces to `endpoint`, after one call.
async fn tracing_to(endpoint: &str, more: &str) -> Rig {
    let courier = simulator::Server::new(simulator::Options::default());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    tokio::spawn(courier.clone().serve(port, std::future::pending()));
    let traces = format!("[traces]\nendpoint = \"{endpoint}\"\nratio = 1.0\n{more}\n");
    let rig = Rig::before(courier, "", &format!("base_url = \"http://{vendor}\"\n{traces}")).await;
    let mut client = Client::h1(TcpStream::connect(rig.gateway.data).await.unwrap()).await;
    let answer = client.send("GET", "/messages", &rig.setup.acme, Vec::new()).await;
    assert_eq!(answer.status().as_u16(), 200);
    answer.into_body().collect().await.unwrap();
    rig
}

/// The same; what was exported and dropped by its end.
async fn traced(endpoint: &str, more: &str) -> (u64, u64) {
    let rig = tracing_to(endpoint, more).await;
    let metrics = rig.gateway.state().metrics().clone();
    rig.gateway.shut_down().await;
    (metrics.spans_exported.get(), metrics.spans_dropped.get())
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_over_tls_to_a_collector_of_the_configured_roots_and_to_no_other() {
    let certificate = Certificate::new();
    let (endpoint, names) = collector(&certificate).await;
    let roots = format!("ca_file = '{}'", certificate.cert.display());
    assert_eq!(traced(&endpoint, &roots).await, (3, 0));
    assert_eq!(*names.lock().unwrap(), ["GET /messages", "queue", "GET /messages"]);
    assert_eq!(traced(&endpoint, "").await, (0, 3));
    assert_eq!(names.lock().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_asks_for_a_pause_is_asked_again_after_it_and_gets_the_same_spans() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", port.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<(Instant, Bytes)>>> = Arc::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = port.accept().await {
            let seen = seen.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let seen = seen.clone();
                async move {
                    let body = request.into_body().collect().await?.to_bytes();
                    let mut seen = seen.lock().unwrap();
                    seen.push((Instant::now(), body));
                    let answer = match seen.len() {
                        1 => Response::builder().status(429).header("retry-after", "2"),
                        _ => Response::builder(),
                    };
                    Ok::<_, hyper::Error>(answer.body(Full::<Bytes>::default()).unwrap())
                }
            });
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                let _ = server.serve_connection(TokioIo::new(tcp), service).await;
            });
        }
    });
    let more = "allow_plain_http = true\ninterval = \"10ms\"\ntimeout = \"1s\"";
    let rig = tracing_to(&endpoint, more).await;
    while rig.gateway.state().metrics().spans_exported.get() == 0 {
        tokio::task::yield_now().await;
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2, "nothing is asked within the pause");
    assert!(asked[1].0 - asked[0].0 >= Duration::from_secs(2));
    assert_eq!(asked[0].1, asked[1].1);
    let metrics = rig.gateway.state().metrics().clone();
    assert_eq!((metrics.spans_exported.get(), metrics.spans_dropped.get()), (3, 0));
}
