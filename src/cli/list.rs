//! `list`: the agents, and what is wrong with the config.

use std::process::ExitCode;

use super::terminal::{BAD, BOLD, FAINT, GOOD, note, print, refuse};
use crate::dispatch::{AgentEntry, Dispatcher, Health};

pub(super) async fn run(dispatcher: &Dispatcher, json: bool) -> anyhow::Result<ExitCode> {
    let listing = match dispatcher.list().await {
        Ok(listing) => listing,
        Err(refusal) => {
            refuse(&refusal, json);
            return Ok(ExitCode::FAILURE);
        }
    };
    if json {
        print(&serde_json::to_string_pretty(&listing.agents)?);
    } else if listing.agents.is_empty() {
        let nothing = listing.nothing_configured();
        note(&format!("{} {}", nothing.message, nothing.hint.unwrap_or_default()));
    } else {
        let width = listing.agents.iter().map(|agent| agent.name.len()).max().unwrap_or(0);
        for agent in &listing.agents {
            print(&line(agent, width));
        }
    }
    for problem in &listing.problems {
        note(&problem.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn line(agent: &AgentEntry, width: usize) -> String {
    let AgentEntry { name, directory, description, .. } = agent;
    // What is wrong with an entry stands among the problems below.
    let state = match agent.healthy {
        Health::Healthy => format!("{GOOD}ok{GOOD:#}"),
        Health::Missing if directory.is_empty() => format!("{BAD}disabled{BAD:#}"),
        Health::Missing => format!("{BAD}missing{BAD:#}"),
        Health::Unreadable => format!("{BAD}unreadable{BAD:#}"),
    };
    let policy =
        agent.prompt_policy.as_ref().map(|name| format!("  prompt: {name}")).unwrap_or_default();
    let below = match description.as_str() {
        "" => String::new(),
        description => format!("\n{:width$}  {description}", ""),
    };
    format!("{BOLD}{name:width$}{BOLD:#}  {state}  {FAINT}{directory}{policy}{FAINT:#}{below}")
}
