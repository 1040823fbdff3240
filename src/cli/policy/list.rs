//! `policy list`: which policies there are.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::cli::terminal::{BAD, BOLD, FAINT, GOOD, NOTE, finish, print, print_json, shown};
use crate::dispatch::{Dispatcher, PolicyEntry, PolicyState, PolicyUse};

#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    ListArgs { json }: ListArgs,
) -> anyhow::Result<ExitCode> {
    finish(dispatcher.list_policies().await, json, |policies| {
        if json {
            return print_json(&policies);
        }
        let width = policies.iter().map(|policy| policy.name.len()).max().unwrap_or_default();
        for policy in &policies {
            show(policy, width);
        }
        Ok(())
    })
}

fn show(policy: &PolicyEntry, width: usize) {
    let (style, word) = match policy.state {
        PolicyState::BuiltIn => (FAINT, "built in"),
        PolicyState::Installed => (GOOD, "installed"),
        PolicyState::Followed => (GOOD, "followed"),
        PolicyState::Changed => (BAD, "changed"),
        PolicyState::Missing => (BAD, "missing"),
        PolicyState::Unusable => (BAD, "unusable"),
        PolicyState::LeftOver => (NOTE, "left over"),
    };
    let name = &policy.name;
    let kinds = policy.kinds.join(", ");
    let component = [&policy.component, &policy.version].map(|word| word.as_deref());
    let digest = policy.digest.as_deref().map(|digest| digest.get(..12).unwrap_or(digest));
    let component: Vec<&str> = component.into_iter().flatten().chain(digest).collect();
    print(&format!(
        "{BOLD}{name:width$}{BOLD:#}  {style}{word}{style:#}  {kinds}  {FAINT}{}{FAINT:#}",
        component.join(" ")
    ));
    let indented = |line: &str| print(&format!("{:width$}  {}", "", shown(line)));
    if let Some(file) = &policy.file {
        indented(&file.display().to_string());
    }
    if !policy.used_by.is_empty() {
        let used_by: Vec<String> = policy.used_by.iter().map(PolicyUse::shown).collect();
        indented(&format!("chosen by {}", used_by.join(", ")));
    }
    if policy.state == PolicyState::LeftOver {
        indented(&format!(
            "no entry names it; to take it out: agent-dispatch policy remove {name}"
        ));
    }
    if let Some(problem) = &policy.problem {
        indented(problem);
    }
}
