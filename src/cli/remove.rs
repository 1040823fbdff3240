//! `remove`: takes an agent out of the config.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::terminal::{finish, print, print_json};
use crate::dispatch::Dispatcher;

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    name: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    finish(dispatcher.remove(name).await, json, |()| {
        if json {
            return print_json(&json!({"removed": name}));
        }
        print(&format!("Removed {name} from the config; its directory is as it was."));
        Ok(())
    })
}
