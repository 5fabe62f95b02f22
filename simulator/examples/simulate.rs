//! `simulate [ADDR [SEED [SCRIPT]]]` runs a simulator on a socket until it is stopped.

use std::process::ExitCode;

use simulator::{Options, Server};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            #[expect(clippy::print_stderr, reason = "a program says on stderr why it ends")]
            {
                eprintln!("simulate: {why}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let seed = args
        .next()
        .map(|s| s.parse::<u64>().map_err(|_| format!("the seed {s:?} is no number")))
        .transpose()?;
    let mut options = match args.next() {
        Some(file) => {
            let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
            Options::from_json(&text).map_err(|e| format!("{file}: {e}"))?
        }
        None => Options::default(),
    };
    if let Some(seed) = seed {
        options.seed = seed;
    }
    let listener =
        tokio::net::TcpListener::bind(&address).await.map_err(|e| format!("{address}: {e}"))?;
    let bound = listener.local_addr().map_err(|e| e.to_string())?;
    #[expect(clippy::print_stdout, reason = "the address is what this program has to say")]
    {
        println!("listening on {bound}");
    }
    Server::new(options).serve(listener, asked_to_stop()).await;
    Ok(())
}

/// Waits for Ctrl-C or a supervisor's SIGTERM. Neither is a failure.
async fn asked_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => drop(interrupted),
        () = terminated => {}
    }
}
