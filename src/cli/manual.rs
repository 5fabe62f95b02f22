//! The commands as documents: for shells, as manual pages, and as `docs/commands.md`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, failed};

/// All commands, without what the variables of this process say: what is written must not depend on
/// who writes it.
fn commands() -> Command {
    fn without_values(command: Command) -> Command {
        command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(without_values)
    }
    without_values(Cli::command())
}

/// Prints the script of `shell`.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut commands(), "tollgate", &mut script);
    written(std::io::stdout().write_all(&script))
}

/// Writes all pages to `folder`, or prints the one of the program.
pub(super) fn pages(folder: Option<&Path>) -> ExitCode {
    match folder {
        Some(folder) => written(
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(commands(), folder)),
        ),
        None => {
            let mut page = Vec::new();
            let made = clap_mangen::Man::new(commands()).render(&mut page);
            written(made.and_then(|()| std::io::stdout().write_all(&page)))
        }
    }
}

fn written(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// `docs/commands.md`: the help of each command.
#[must_use]
pub fn reference() -> String {
    let mut root = commands();
    root.build();
    let mut text = "# Commands\n\nMade from the program's own help. `demo` and `simulate` are in builds with `--features demo` only.\n".to_owned();
    chapter(&root, "tollgate", &mut text);
    text
}

fn chapter(command: &Command, name: &str, text: &mut String) {
    let mut shown = command.clone();
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    *text += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    let below = command.get_subcommands();
    for sub in below.filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        chapter(sub, &format!("{name} {}", sub.get_name()), text);
    }
}
