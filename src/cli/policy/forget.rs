//! `policy forget`: forgets what policies were given and decided.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::cli::terminal::{finish, print, print_json};
use crate::dispatch::Dispatcher;

#[derive(Args)]
pub(in crate::cli) struct ForgetArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    ForgetArgs { json }: ForgetArgs,
) -> anyhow::Result<ExitCode> {
    finish(dispatcher.forget_decisions().await, json, |forgotten| {
        if json {
            return print_json(&json!({"forgotten": forgotten}));
        }
        print(&format!("Forgotten: {forgotten} decisions."));
        Ok(())
    })
}
