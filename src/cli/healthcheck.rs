//! `tollgate healthcheck`: one request to `/readyz`, over the standard library's own sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use crate::terminal::{complain, say};

const PATIENCE: Duration = Duration::from_secs(5);

/// Exit code 0 if the gateway behind `ops` is ready.
pub(super) fn run(ops: SocketAddr) -> ExitCode {
    match ask(ops) {
        Ok(status) if status.starts_with("HTTP/1.1 200") => {
            say("ready");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            complain(&format!("{ops} is not ready: {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("{ops} does not answer: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The status line of `GET /readyz`.
fn ask(ops: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&ops, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: tollgate\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
