//! `tollgate check`: what is wrong with a configuration, here or anywhere.

use std::path::Path;
use std::process::ExitCode;

use super::{File, refused};
use crate::config::{self, Checked, Look};
use crate::terminal::{point, say};

/// What to check.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    file: File,
    /// Read no token, no certificate and no key, and leave the state folder alone: for CI.
    #[arg(long)]
    no_secrets: bool,
}

/// Tells every problem and warning.
pub(super) fn run(args: Args) -> ExitCode {
    let file = match args.file.path() {
        Ok(file) => file,
        Err(code) => return code,
    };
    let look = if args.no_secrets { Look::FILE } else { Look::HERE };
    match config::check(&file, look) {
        Ok(checked) => {
            told(&file, &checked);
            ExitCode::SUCCESS
        }
        Err(error) => refused(&error),
    }
}

fn told(file: &Path, checked: &Checked) {
    let name = file.display().to_string();
    checked.warnings.iter().for_each(|warning| point(&warning.warning(&name)));
    let Checked { tenants, connections, apps, keys, operations, .. } = checked;
    say(&format!(
        "{name}: good: {tenants} tenants, {connections} connections, {apps} apps, {keys} keys, {operations} operations"
    ));
}
