//! `doctor`: is everything there that a dispatch needs?

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::init::registration;
use super::terminal::{BAD, BOLD, FAINT, GOOD, NOTE, print, print_json, shown};
use crate::agent::{McpServers, shown_registration};
use crate::config::Paths;
use crate::dispatch::{Check, Dispatcher, Status};

pub(super) async fn run(dispatcher: &Arc<Dispatcher>, json: bool) -> anyhow::Result<ExitCode> {
    let mut checks = dispatcher.check_up().await;
    checks.push(registration_check()?);
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let (issues, warnings) = (count(Status::Fail), count(Status::Warn));
    if json {
        let status = checks.iter().map(|check| check.status).max();
        print_json(&json!({
            "schema_version": 1,
            "status": status,
            "issues": issues,
            "warnings": warnings,
            "checks": checks,
        }))?;
    } else {
        let mut section = "";
        for check in &checks {
            if check.section != section {
                section = check.section;
                print(&format!("{BOLD}{section}{BOLD:#}"));
            }
            show(check);
        }
        print(&match (issues, warnings) {
            (0, 0) => "\nEverything is as it should be.".to_owned(),
            _ => format!("\nwhat cannot work: {issues}, what to know: {warnings}"),
        });
    }
    Ok(if issues == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(check: &Check) {
    let (style, word) = match check.status {
        Status::Ok => (GOOD, "ok"),
        Status::Warn => (NOTE, "warn"),
        Status::Fail => (BAD, "fail"),
    };
    print(&format!("  {style}{word:4}{style:#}  {}", shown(&check.message)));
    for detail in &check.details {
        print(&format!("        {FAINT}{}{FAINT:#}", shown(detail)));
    }
}

/// Whether Claude Code starts this program.
fn registration_check() -> anyhow::Result<Check> {
    let paths = Paths::from_environment()?;
    let ours = registration(&paths)?;
    let warn = |message: String| Check::new("Claude Code", Status::Warn, message);
    Ok(match McpServers::of_user(&paths.home).registered() {
        Ok(Some(present)) if ours.is(&present) => {
            let message = format!("starts {}", shown_registration(&present));
            Check::new("Claude Code", Status::Ok, message)
        }
        Ok(Some(present)) => {
            let present = shown_registration(&present);
            let this = ours.shown();
            warn(format!("starts another agent-dispatch: {present}; this one is {this}"))
                .advise("'agent-dispatch init --force' registers this one instead.")
        }
        Ok(None) => warn("does not know agent-dispatch".to_owned())
            .advise("'agent-dispatch init' registers it."),
        Err(problem) => warn(format!("cannot be asked what it starts: {problem}")),
    })
}
