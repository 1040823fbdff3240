//! `policy`: all that has to do with policies, a file for each of its commands.

mod add;
mod forget;
mod list;
mod remove;
mod replay;

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
    /// Show what another policy would have decided, where settings.record_policies had decisions kept
    Replay(replay::ReplayArgs),
    /// Forget all decisions that settings.record_policies had kept
    Forget(forget::ForgetArgs),
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    PolicyArgs { command }: PolicyArgs,
) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Add(arguments) => add::run(dispatcher, arguments).await,
        PolicyCommand::Remove(arguments) => remove::run(dispatcher, arguments).await,
        PolicyCommand::List(arguments) => list::run(dispatcher, arguments).await,
        PolicyCommand::Replay(arguments) => replay::run(dispatcher, arguments).await,
        PolicyCommand::Forget(arguments) => forget::run(dispatcher, arguments).await,
    }
}
