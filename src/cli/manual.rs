//! `completions` and `man`: what the command line says of itself, for shells and readers.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::command_line::CommandLine;

pub(super) fn completions(shell: Shell) -> io::Result<ExitCode> {
    let mut script = Vec::new();
    let mut command = visible();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The page of the whole, or one for each command as files in a folder.
pub(super) fn man(folder: Option<&Path>) -> io::Result<ExitCode> {
    let command = visible();
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(command, folder)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        io::stdout().write_all(&page)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line without the commands that only this program itself calls.
fn visible() -> Command {
    let all = CommandLine::command();
    let mut visible = Command::new("agent-dispatch")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(all.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
    if let Some(about) = all.get_about() {
        visible = visible.about(about.clone());
    }
    if let Some(help) = all.get_after_help() {
        visible = visible.after_help(help.clone());
    }
    visible
}
