//! `tollgate simulate`: a Courier stand-in on a port of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use simulator::{Options, Server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{WRONG_CONFIGURATION, failed, runtime};
use crate::terminal::{complain, say};

/// The arguments of the command. All else is in the script.
#[derive(clap::Args)]
pub(super) struct SimulateArgs {
    /// Address and port; port 0 takes a free port, which is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4010", value_parser = crate::address::parse)]
    listen: SocketAddr,
    /// With the same seed, the same requests get the same answers, even the same dates. Without a
    /// seed or a script it uses the clock of this machine.
    #[arg(long, value_name = "N", value_parser = seed)]
    seed: Option<u64>,
    /// A JSON file with switches, faults and clock; simulator/README.md documents it.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a seed is a whole number from 0: write --seed 7".to_owned())
}

/// Runs the simulator until Ctrl-C or SIGTERM.
pub(super) fn run(args: SimulateArgs) -> ExitCode {
    let mut options = match args.script.as_deref().map(read).transpose() {
        Ok(Some(options)) => options,
        Ok(None) => to_try(args.seed.is_some()),
        Err(message) => {
            complain(&message);
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    if let Some(seed) = args.seed {
        options.seed = seed;
    }
    let served = runtime().and_then(|runtime| runtime.block_on(serve(args.listen, options)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Without a seed the clock is the real one, since people who try things out compare clocks. With a
/// seed they compare answers.
fn to_try(repeatable: bool) -> Options {
    let mut options = Options::default();
    if !repeatable {
        options.clock.epoch = "real".into();
    }
    options
}

fn read(path: &Path) -> Result<Options, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

async fn serve(address: SocketAddr, options: Options) -> std::io::Result<()> {
    let at = |error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {address} (--listen): {error}"))
    };
    let listener = TcpListener::bind(address).await.map_err(at)?;
    say(&format!("listening on {}", listener.local_addr()?));
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    Server::new(options).serve(listener, stop).await;
    Ok(())
}
