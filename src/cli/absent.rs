//! Commands that the shipped program does not have: the simulated Courier, and the demo. It tells
//! how to get them.

use std::ffi::OsString;
use std::process::ExitCode;

use super::USAGE;
use crate::terminal::complain;

/// Whatever stands behind the command.
#[derive(clap::Args)]
pub(super) struct AbsentArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

pub(super) fn run(command: &str, AbsentArgs { rest }: AbsentArgs) -> ExitCode {
    let rest: Vec<_> = rest.iter().map(|part| part.to_string_lossy()).collect();
    let line = [&[command.into()], &rest[..]].concat().join(" ");
    complain(&format!(
        "this build has no '{command}': write 'cargo {line}' in Tollgate's source, or build with '--features demo'"
    ));
    ExitCode::from(USAGE)
}
