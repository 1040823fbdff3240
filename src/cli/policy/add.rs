//! `policy add`: installs a component.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueHint};
use serde_json::{Map, Value};

use crate::cli::terminal::{BOLD, FAINT, finish, note, print, print_json};
use crate::dispatch::{Dispatcher, NewPolicy};

#[derive(Args)]
pub(in crate::cli) struct AddArgs {
    /// What the policy is to be called
    name: String,
    /// Its component; a copy of it is installed
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// What it is configured with, a JSON object; without it what is there stays
    #[arg(long, value_name = "JSON", value_parser = object)]
    config: Option<Map<String, Value>>,
    /// Have this agent choose it; may be given several times
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// Have the settings choose it, for all who choose nothing else
    #[arg(long)]
    default: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A JSON object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    AddArgs { name, file, config, agents, default, json }: AddArgs,
) -> anyhow::Result<ExitCode> {
    let new = NewPolicy { name, file, config, agents, default };
    finish(dispatcher.add_policy(new).await, json, |added| {
        if json {
            return print_json(&added);
        }
        let component = [&added.component, &added.version].map(|word| word.as_deref());
        let component: Vec<&str> = component.into_iter().flatten().collect();
        print(&format!(
            "{BOLD}{}{BOLD:#}  {}  {FAINT}{}{FAINT:#}",
            added.added,
            added.kinds.join(", "),
            component.join(" ")
        ));
        if let Some(replaced) = &added.replaced {
            print(&format!("  was {FAINT}{replaced}{FAINT:#}"));
            print(&format!("  now {FAINT}{}{FAINT:#}", added.digest));
        } else {
            print(&format!("  {FAINT}{}{FAINT:#}", added.digest));
        }
        print(&format!("Installed as {}.", added.file.display()));
        if added.chosen_by.is_empty() {
            note("nobody chooses it yet: give --agent or --default, or choose it in the config");
        } else {
            print(&format!("Chosen by {}.", added.chosen_by.join(", ")));
        }
        Ok(())
    })
}
