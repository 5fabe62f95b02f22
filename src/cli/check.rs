//! `tollgate check`: what is wrong with a configuration, on this machine or on any.

mod online;

use std::path::Path;
use std::process::ExitCode;

use super::{File, WRONG_CONFIGURATION};
use crate::config::{self, Checked, ConfigError, Look};
use crate::document::Problem;
use crate::terminal::{complain, point, say};

/// What to check.
#[derive(clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: File,
    /// For CI: read no token, no certificate and no key, and leave the state folder alone.
    #[arg(long)]
    no_secrets: bool,
    /// Also test hosts, tokens, clocks and ports. Each connection makes one read call.
    #[arg(long, conflicts_with = "no_secrets")]
    online: bool,
}

/// Prints every problem and warning; with `--online`, also a line for each question.
pub(super) fn run(args: CheckArgs) -> ExitCode {
    let file = match args.file.path() {
        Ok(file) => file,
        Err(code) => return code,
    };
    let look = if args.no_secrets { Look::FILE } else { Look::HERE };
    let checked = match config::check(&file, look) {
        Ok(checked) => checked,
        Err(error) => return wrong(&error),
    };
    told(&file, &checked);
    match checked.config.filter(|_| args.online) {
        Some(config) => online::run(&config),
        None => ExitCode::SUCCESS,
    }
}

/// Problems come first, because they are why nothing would start. The last line counts both.
fn wrong(error: &ConfigError) -> ExitCode {
    point(&error.to_string());
    warned(&error.source, &error.findings.warnings);
    complain(&format!("{}: {}", error.source, error.count(true)));
    ExitCode::from(WRONG_CONFIGURATION)
}

fn warned(source: &str, warnings: &[Problem]) {
    warnings.iter().for_each(|warning| point(&warning.warning(source)));
}

fn told(file: &Path, checked: &Checked) {
    let name = file.display().to_string();
    warned(&name, &checked.warnings);
    let Checked { tenants, connections, apps, keys, operations, .. } = checked;
    say(&format!(
        "{name}: good: {tenants} tenants, {connections} connections, {apps} apps, {keys} keys, {operations} operations"
    ));
}
