//! The command line: what people type, and the exit codes they get.
//!
//! | code | means |
//! | --- | --- |
//! | 0 | done |
//! | 1 | failed |
//! | 2 | the command line is wrong |
//! | 64 | the configuration is wrong |

#[cfg(not(feature = "demo"))]
mod absent;
mod acts;
mod admin;
mod audit;
mod cache;
mod check;
mod documents;
mod explain;
mod healthcheck;
mod keys;
mod manual;
mod operate;
mod overrides;
mod serve;
#[cfg(feature = "demo")]
mod simulate;
mod started;
mod status;
mod text;
mod top;
mod usage;
mod whatif;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::address;
use crate::config;
#[cfg(feature = "demo")]
use crate::demo;
use crate::terminal::{complain, point, say};
use keys::KeysCommand;
use operate::Operate;

pub use manual::reference as commands;

/// Exit code of a command line that is wrong.
const USAGE: u8 = 2;
/// Exit code of a configuration that is wrong.
const WRONG_CONFIGURATION: u8 = 64;

/// A gateway between a company's applications and the Courier API.
#[derive(Parser)]
#[command(
    version,
    subcommand_required = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 64 configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(serve::ServeArgs),
    /// Check a configuration file and report every problem in it, as file:line:column.
    Check(check::CheckArgs),
    /// Run a simulated Courier, a gateway in front of it, and a little traffic, on this machine.
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Run a simulated Courier.
    #[cfg(feature = "demo")]
    Simulate(simulate::SimulateArgs),
    #[cfg(not(feature = "demo"))]
    #[command(hide = true, disable_help_flag = true)]
    Demo(absent::AbsentArgs),
    #[cfg(not(feature = "demo"))]
    #[command(hide = true, disable_help_flag = true)]
    Simulate(absent::AbsentArgs),
    /// Explain why a call was slow: what it waited for, and behind whom.
    Explain(explain::ExplainArgs),
    #[command(flatten)]
    Operate(Operate),
    /// Make keys for applications and operators; list and revoke those of a running gateway.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print the schema or the reference of the configuration file.
    #[command(subcommand)]
    Config(Reference),
    /// Print how much each application called, from the files in the state folder.
    Usage(usage::UsageArgs),
    /// Ask a running gateway whether it is ready, for containers without a shell.
    Healthcheck {
        /// The address of its operations port.
        #[arg(long, value_name = "ADDR", env = "TOLLGATE_OPS", default_value = "127.0.0.1:9090", value_parser = address::parse)]
        ops: SocketAddr,
    },
    /// Print what a shell needs to complete these commands.
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or write the pages of all commands.
    Man {
        /// The folder for them; it is made if it is not there.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Which configuration file.
#[derive(clap::Args)]
struct File {
    /// The configuration file [default: $TOLLGATE_CONFIG, else /etc/tollgate/tollgate.toml, else
    /// config/tollgate.toml].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same as FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl File {
    /// The file that was named, or the default one.
    fn path(self) -> Result<PathBuf, ExitCode> {
        let named = self.file.or(self.config);
        let named = named.or_else(|| std::env::var_os("TOLLGATE_CONFIG").map(PathBuf::from));
        match named {
            Some(file) if file.as_os_str().is_empty() => {
                complain(
                    "the name of the configuration file is empty: write FILE behind the command",
                );
                Err(ExitCode::from(USAGE))
            }
            named => Ok(named.unwrap_or_else(default_config)),
        }
    }
}

#[derive(Clone, Copy, Subcommand)]
enum Reference {
    /// The JSON Schema, for editors.
    Schema,
    /// The reference in Markdown.
    Reference,
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(line) => line.command,
        Err(error) => return unread(&error),
    };
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(&args),
        #[cfg(feature = "demo")]
        Command::Simulate(args) => simulate::run(args),
        #[cfg(not(feature = "demo"))]
        Command::Demo(args) => absent::run("demo", args),
        #[cfg(not(feature = "demo"))]
        Command::Simulate(args) => absent::run("simulate", args),
        Command::Explain(args) => explain::run(&args),
        Command::Operate(command) => operate::run(command),
        Command::Keys(command) => keys::run(command),
        Command::Config(what) => reference(what),
        Command::Usage(args) => usage::run(args),
        Command::Healthcheck { ops } => healthcheck::run(ops),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { out } => manual::pages(out.as_deref()),
    }
}

/// Prints what is wrong with the command line, or what was asked for: the help or the version.
fn unread(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    let no_value = error.get(clap::error::ContextKind::InvalidValue).map(ToString::to_string);
    if no_value.is_some_and(|value| value.is_empty()) {
        complain("write the value behind it, such as --config FILE");
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn default_config() -> PathBuf {
    let installed = Path::new("/etc/tollgate/tollgate.toml");
    if installed.exists() { installed.into() } else { "config/tollgate.toml".into() }
}

fn reference(what: Reference) -> ExitCode {
    say(match what {
        Reference::Schema => pretty(&config::schema()),
        Reference::Reference => config::reference(),
    }
    .trim_end());
    ExitCode::SUCCESS
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value is always JSON")
}

fn refused(error: &config::ConfigError) -> ExitCode {
    point(&error.to_string());
    complain(&format!("{}: {}", error.source, error.count(false)));
    ExitCode::from(WRONG_CONFIGURATION)
}

/// The runtime of what is no client's call. It has a thread of its own, so that a reload on this one
/// holds up nobody.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    complain(&error.to_string());
    ExitCode::FAILURE
}
