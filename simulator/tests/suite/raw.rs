//! HTTP/1.1 by hand, over in-process streams.

use std::time::Duration;

use simulator::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A server without data.
pub(crate) fn server() -> Server {
    Server::new(Options::seeded(1))
}

/// A connection to the server.
pub(crate) fn connect(server: &Server) -> DuplexStream {
    let (client, io) = tokio::io::duplex(64 * 1024);
    let server = server.clone();
    tokio::spawn(async move { server.serve_io(io).await });
    client
}

/// Sends bytes and reads until the server closes.
pub(crate) async fn exchange(server: &Server, request: impl AsRef<[u8]>) -> String {
    let mut client = connect(server);
    client.write_all(request.as_ref()).await.unwrap_or_default();
    read_all(client).await
}

/// Reads until the server closes.
pub(crate) async fn read_all(mut client: DuplexStream) -> String {
    let mut answer = Vec::new();
    // Time is paused, so a server that waits for ever is seen at once.
    let read =
        tokio::time::timeout(Duration::from_secs(600), client.read_to_end(&mut answer)).await;
    read.expect("the server closes").expect("an in-process stream only ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// GET /brands on a connection that is closed after it, with one more field.
pub(crate) fn brands(field: &str) -> String {
    format!(
        "GET /brands HTTP/1.1\r\nhost: c\r\nauthorization: Bearer t\r\nconnection: close\r\n{field}\r\n\r\n"
    )
}

/// A send on a connection that is closed after it.
pub(crate) fn send(fields: &str, body: &str) -> String {
    format!(
        "POST /send HTTP/1.1\r\nhost: c\r\nauthorization: Bearer t\r\nconnection: close\r\n{fields}\r\n\r\n{body}"
    )
}

/// What is sent.
pub(crate) const MESSAGE: &str =
    r#"{"message":{"to":{"email":"a@example.com"},"content":{"title":"a","body":"b"}}}"#;
