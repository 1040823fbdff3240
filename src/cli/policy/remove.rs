//! `policy remove`: takes a policy out of the config.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::cli::terminal::{finish, note, print, print_json};
use crate::dispatch::Dispatcher;

#[derive(Args)]
pub(in crate::cli) struct RemoveArgs {
    /// The policy's name
    name: String,
    /// Remove it also where somebody chooses it, and these choices with it
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    RemoveArgs { name, force, json }: RemoveArgs,
) -> anyhow::Result<ExitCode> {
    finish(dispatcher.remove_policy(&name, force).await, json, |removed| {
        if json {
            return print_json(&removed);
        }
        let component = if removed.component_removed {
            "its component is gone too"
        } else {
            "the file of its component is as it was"
        };
        print(&format!("Removed {} from the config; {component}.", removed.removed));
        if !removed.chosen_by.is_empty() {
            let chosen_by = removed.chosen_by.join(", ");
            note(&format!("it is no longer chosen by {chosen_by}; what else holds there decides"));
        }
        Ok(())
    })
}
