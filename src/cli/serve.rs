//! `tollgate serve`: starts a gateway and obeys its signals.
//!
//! SIGTERM and SIGINT make health checks fail, then drain and stop; after a second one nothing is
//! waited for. SIGHUP reads the configuration again; a bad one changes nothing and says why.

use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use super::started::Started;
use super::{File, failed, refused, runtime};
use crate::app::{Gateway, LAST_ANSWERS, say_left};
use crate::config::Config;
use crate::runtime::ReloadOrder;
use crate::server::Workers;
use crate::telemetry::logs::{LogSettings, Logs};
use crate::terminal::complain;

#[derive(clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    file: File,
    /// Threads that serve clients [default: one for each core that the process may use].
    #[arg(long, value_name = "N", env = "TOKIO_WORKER_THREADS", hide_env_values = true)]
    threads: Option<NonZeroUsize>,
}

/// Runs the gateway until it is told to stop.
pub(super) fn run(args: ServeArgs) -> ExitCode {
    let path = match args.file.path() {
        Ok(path) => path,
        Err(code) => return code,
    };
    let config = match Config::load(&path) {
        Ok(config) => config,
        Err(error) => return refused(&error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let workers = match Workers::start(args.threads.unwrap_or_else(cores)) {
        Ok(workers) => workers,
        Err(error) => return failed(&error),
    };
    let logs = Logs::start(&config.settings.logs);
    log_panics();
    let code = runtime.block_on(serve(&path, config, &logs, workers));
    // A call that outlived its grace must not hold the process.
    runtime.shutdown_background();
    code
}

async fn serve(path: &Path, config: Config, logs: &Logs, workers: Workers) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        complain("signals can't be received");
        return ExitCode::FAILURE;
    };
    let started = Started::of(&config);
    let log_settings = config.settings.logs.clone();
    let mut gateway = match Gateway::start_with(config, logs.access(), workers).await {
        Ok(gateway) => gateway,
        Err(error) => return failed(&error),
    };
    gateway.state().configured_by(path);
    started.say(path, &gateway);
    let mut log_settings = log_settings;
    let mut levels = gateway.state().log_levels();
    logs.follow(&log_settings, &levels.borrow_and_update());
    let mut orders = gateway.state().reload_orders();
    loop {
        let order = tokio::select! {
            _ = hang_up.recv() => None,
            Some(order) = next(&mut orders) => Some(order),
            Ok(()) = levels.changed() => {
                logs.follow(&log_settings, &levels.borrow_and_update());
                continue;
            }
            () = stop(&mut terminate, &mut interrupt) => break,
        };
        let follow = |settings: &LogSettings| logs.follow(settings, &levels.borrow());
        log_settings = reload(&mut gateway, path, order, follow).unwrap_or(log_settings);
    }
    let delay = gateway.announce_drain().unwrap_or_else(usual_delay);
    tracing::info!(delay_s = delay.as_secs_f64(), "draining");
    let flights = gateway.state().flights().clone();
    let mut ending = pin!(async {
        sleep(delay).await;
        gateway.shut_down().await
    });
    tokio::select! {
        left = ending.as_mut() => {
            if left.connections + left.flights > 0 {
                tracing::warn!(connections = left.connections, flights = left.flights, "grace is over");
                return ExitCode::FAILURE;
            }
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        () = stop(&mut terminate, &mut interrupt) => {
            tracing::warn!("told twice to stop");
            flights.end_waits();
            let _ = timeout(LAST_ANSWERS, ending).await;
            say_left(&flights);
            ExitCode::FAILURE
        }
    }
}

/// As many as the process may use, by its affinity and the limit of its control group.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// On a terminal there is no load balancer that has to be told.
fn usual_delay() -> Duration {
    let delay = if std::io::stdout().is_terminal() { 0 } else { 5 };
    Duration::from_secs(delay)
}

async fn stop(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The next order of the admin port.
async fn next(orders: &mut Option<Receiver<ReloadOrder>>) -> Option<ReloadOrder> {
    orders.as_mut()?.recv().await
}

/// Reads the file again, and says how that ended to whom `order` is from. Gives what holds for log
/// lines from now on, which `follow` is told first.
fn reload(
    gateway: &mut Gateway,
    path: &Path,
    order: Option<ReloadOrder>,
    follow: impl FnOnce(&LogSettings),
) -> Option<LogSettings> {
    // Also if the configuration is refused: what moves the file away says so by the same signal.
    gateway.state().audit().reopen();
    let known = gateway.state().tokens().known();
    let read = Config::load_again(path, &known).map_err(|error| error.to_string());
    let result = read.and_then(|config| {
        gateway.reload(&config)?;
        follow(&config.settings.logs);
        Ok(config.settings.logs)
    });
    match result {
        Ok(logs) => {
            gateway.reloaded("done");
            gateway.state().reload_ended(Vec::new());
            answer(order, Ok(gateway.state().configuration().warnings));
            tracing::info!(file = %path.display(), "configuration reloaded");
            Some(logs)
        }
        Err(reason) => {
            gateway.reloaded("refused");
            let problems: Vec<String> = reason.lines().map(str::to_owned).collect();
            gateway.state().reload_ended(problems.clone());
            answer(order, Err(problems));
            tracing::error!(file = %path.display(), reason, "configuration not reloaded; the old one stays");
            None
        }
    }
}

fn answer(order: Option<ReloadOrder>, ended: Result<Vec<String>, Vec<String>>) {
    if let Some(order) = order {
        // Who asked may have gone.
        let _ = order.send(ended);
    }
}

/// Logs a panic as one line. It says where, but not what, since a message could hold anything.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(place, "panic");
    }));
}
