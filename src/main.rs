//! The `tollgate` program; see [`tollgate::cli`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate::cli::run()
}
