//! `add`: one project, or all that lie in a directory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::command_line::AddArgs;
use super::terminal::{BOLD, FAINT, finish, note, print, print_json, shown};
use crate::dispatch::{Added, By, Dispatcher, Newcomer, Refusal};

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: AddArgs,
) -> anyhow::Result<ExitCode> {
    let AddArgs { name, directory, description, timeout, model, scan, dry_run, json } = arguments;
    if let Some(directory) = scan {
        let added = scanned(dispatcher, directory, dry_run, json).await;
        return finish(added, json, |added| {
            if json {
                return print_json(&added);
            }
            if dry_run {
                note("nothing was written, as --dry-run asks for");
            } else if !added.is_empty() {
                print(&format!("Added {}. See them: agent-dispatch list", added.len()));
            }
            Ok(())
        });
    }
    let newcomer = Newcomer {
        name: name.unwrap_or_default(),
        directory: directory.unwrap_or_default(),
        description,
        timeout_seconds: timeout,
        model,
    };
    finish(dispatcher.add(newcomer, By::Owner).await, json, |added| {
        if json {
            return print_json(&added);
        }
        show(&added);
        print(&format!("Added. Try it: agent-dispatch test {}", added.added));
        Ok(())
    })
}

/// Shows what there is to add, and adds it unless this is a dry run.
async fn scanned(
    dispatcher: &Arc<Dispatcher>,
    directory: PathBuf,
    dry_run: bool,
    json: bool,
) -> Result<Vec<Added>, Refusal> {
    let scan = dispatcher.scan(directory.clone()).await?;
    for skipped in &scan.skipped {
        note(&format!("{} is left out: {}", skipped.directory.display(), skipped.reason));
    }
    if scan.found.is_empty() {
        note(&format!(
            "no subdirectory of {} with a CLAUDE.md or .git is left to add",
            directory.display()
        ));
        return Ok(Vec::new());
    }
    let mut additions = dispatcher.prepare_additions(scan.found, By::Owner).await?;
    if additions.agents.is_empty()
        && let Some((_, refusal)) = additions.undescribed.pop()
    {
        return Err(refusal);
    }
    for (directory, refusal) in &additions.undescribed {
        note(&format!("{} is left out: {refusal}", directory.display()));
    }
    if !json {
        additions.agents.iter().for_each(show);
    }
    if dry_run { Ok(additions.agents) } else { dispatcher.add_prepared(additions).await }
}

fn show(added: &Added) {
    let Added { added: name, directory, description, policy_fallback } = added;
    print(&format!("{BOLD}{name}{BOLD:#}  {FAINT}{directory}{FAINT:#}"));
    for line in description.lines() {
        print(&format!("  {}", shown(line)));
    }
    if let Some(fallback) = policy_fallback {
        note(fallback);
    }
}
