//! `describe`: what an agent's project says of itself now.

use std::process::ExitCode;
use std::sync::Arc;

use super::terminal::{finish, note, print, print_json};
use crate::dispatch::Dispatcher;

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    name: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    finish(dispatcher.describe(name).await, json, |described| {
        if json {
            return print_json(&described);
        }
        print(&described.description);
        if let Some(fallback) = &described.policy_fallback {
            note(fallback);
        }
        Ok(())
    })
}
