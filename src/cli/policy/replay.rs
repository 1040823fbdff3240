//! `policy replay`: what another policy would have decided.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value};

use super::add::object;
use crate::cli::terminal::{BAD, BOLD, FAINT, GOOD, note, print, print_json, refuse, shown};
use crate::dispatch::{Difference, Dispatcher, Replay, ReplayCall};

/// How many differences are shown, unless all are wanted.
const SHOWN: usize = 3;

#[derive(Args)]
pub(in crate::cli) struct ReplayArgs {
    /// The policy, by its name or the path of its component
    policy: String,
    /// Compare with what this policy would decide, not with what was decided
    #[arg(long, value_name = "NAME")]
    against: Option<String>,
    /// Only so many of the latest decisions
    #[arg(long, value_name = "N")]
    last: Option<u32>,
    /// Only decisions about this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// What the policy is configured with, a JSON object; without it what its entry says, and for a file what was given then
    #[arg(long, value_name = "JSON", value_parser = object)]
    config: Option<Map<String, Value>>,
    /// Show all differences
    #[arg(long)]
    all: bool,
    /// End with exit code 1 where a decision differs
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: ReplayArgs,
) -> anyhow::Result<ExitCode> {
    let ReplayArgs { policy, against, last, agent, config, all, check, json } = arguments;
    let call = ReplayCall { policy, against, last, agent, config };
    let replay = match dispatcher.replay(call).await {
        Ok(replay) => replay,
        Err(refusal) => {
            refuse(&refusal, json);
            return Ok(ExitCode::FAILURE);
        }
    };
    if json {
        print_json(&replay)?;
    } else {
        show(&replay, if all { usize::MAX } else { SHOWN });
    }
    let is_same = replay.differences.is_empty();
    Ok(if check && !is_same { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(replay: &Replay, most: usize) {
    for difference in replay.differences.iter().take(most) {
        show_difference(difference);
    }
    let hidden = replay.differences.len().saturating_sub(most);
    if hidden > 0 {
        note(&format!("{hidden} more differ; --all shows them"));
    }
    for count in &replay.by_function {
        print(&format!(
            "{BOLD}{:20}{BOLD:#}  same {}, different {}, failed {}",
            count.function, count.same, count.different, count.failed
        ));
    }
    print(&format!(
        "replayed {}: same {}, different {}, failed {}",
        replay.replayed, replay.same, replay.different, replay.failed
    ));
    if replay.not_recorded > 0 {
        let count = replay.not_recorded;
        note(&format!("{count} were left out: what the policy was given was too long to be kept"));
    }
}

fn show_difference(difference: &Difference) {
    print(&format!(
        "{BOLD}{}{BOLD:#}  {}  {FAINT}{}{FAINT:#}",
        difference.function,
        difference.agents.join(", "),
        difference.run
    ));
    for line in shown(&difference.diff).lines() {
        print(&match line.chars().next() {
            Some('+') => format!("{GOOD}{line}{GOOD:#}"),
            Some('-') => format!("{BAD}{line}{BAD:#}"),
            _ => line.to_owned(),
        });
    }
    print("");
}
