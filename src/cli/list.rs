//! `list`: the agents, and what is wrong with the config.

use std::process::ExitCode;
use std::sync::Arc;

use super::terminal::{
    BAD, BOLD, FAINT, GOOD, NOTE, note, print, print_json, refuse, report, shown,
};
use crate::config::ProblemKind;
use crate::dispatch::{AgentEntry, Dispatcher, Health};

pub(super) async fn run(dispatcher: &Arc<Dispatcher>, json: bool) -> anyhow::Result<ExitCode> {
    let listing = match dispatcher.list().await {
        Ok(listing) => listing,
        Err(refusal) => {
            refuse(&refusal, json);
            return Ok(ExitCode::FAILURE);
        }
    };
    if json {
        print_json(&listing.agents)?;
    } else if listing.agents.is_empty() {
        let nothing = listing.nothing_configured();
        note(&format!("{} {}", nothing.message, nothing.hint.unwrap_or_default()));
    } else {
        let width = listing.agents.iter().map(|agent| agent.name.len()).max().unwrap_or(0);
        for agent in &listing.agents {
            print(&lines(agent, width));
        }
    }
    let mut code = ExitCode::SUCCESS;
    for problem in &listing.problems {
        if problem.kind == ProblemKind::StopsDispatching {
            report(&problem.to_string(), None);
            code = ExitCode::FAILURE;
        } else {
            note(&problem.to_string());
        }
    }
    Ok(code)
}

fn lines(agent: &AgentEntry, width: usize) -> String {
    let AgentEntry { name, directory, description, .. } = agent;
    // What is wrong with an entry stands among the problems below.
    let disabled = directory.is_empty();
    let state = match agent.healthy {
        Health::Healthy if agent.error.is_none() => format!("{GOOD}ok{GOOD:#}"),
        Health::Healthy => format!("{BAD}unusable{BAD:#}"),
        Health::Missing if disabled => format!("{BAD}disabled{BAD:#}"),
        Health::Missing => format!("{BAD}missing{BAD:#}"),
        Health::Unreadable => format!("{BAD}unreadable{BAD:#}"),
    };
    let policy = agent.prompt_policy.as_ref().map(|name| format!("  prompt: {name}"));
    let policy = policy.unwrap_or_default();
    let mut lines =
        vec![format!("{BOLD}{name:width$}{BOLD:#}  {state}  {FAINT}{directory}{policy}{FAINT:#}")];
    lines.extend(description.lines().map(|line| format!("{:width$}  {}", "", shown(line))));
    if let Some(error) = agent.error.as_ref().filter(|_| !disabled) {
        lines.push(format!("{:width$}  {BAD}{error}{BAD:#}", ""));
    }
    if let Some(warning) = &agent.warning {
        lines.push(format!("{:width$}  {NOTE}{warning}{NOTE:#}", ""));
    }
    lines.join("\n")
}
