//! `policy`: all that has to do with policies, a file for each of its commands.

mod add;
mod list;
mod remove;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::dispatch::Dispatcher;

#[derive(Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Subcommand)]
enum PolicyCommand {
    /// Install a component beside the config, where it changes only by being added again
    Add(add::AddArgs),
    /// Remove a policy from the config, and its component where it was installed
    Remove(remove::RemoveArgs),
    /// List the policies, where they come from and who chooses them
    List(list::ListArgs),
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    PolicyArgs { command }: PolicyArgs,
) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Add(arguments) => add::run(dispatcher, arguments).await,
        PolicyCommand::Remove(arguments) => remove::run(dispatcher, arguments).await,
        PolicyCommand::List(arguments) => list::run(dispatcher, arguments).await,
    }
}
