//! `init`: a config to begin with, and this server registered with Claude Code.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::terminal::{finish, print, print_json};
use crate::agent::{McpServers, Registration, shown_registration};
use crate::config::{Editor, Paths};
use crate::dispatch::Refusal;

/// What became of the registration.
struct Registered {
    state: &'static str,
    sentence: String,
}

pub(super) fn run(force: bool, json: bool) -> anyhow::Result<ExitCode> {
    let paths = Paths::from_environment()?;
    let registration = registration(&paths)?;
    let created = match Editor::new(&paths.config_file).create() {
        Ok(created) => created,
        Err(error) => {
            let refusal = Refusal::new(error.to_string()).with_hint(error.hint());
            return finish(Err::<(), _>(refusal), json, |()| Ok(()));
        }
    };
    let file = paths.config_file.display();
    if !json {
        let state = if created { "is new, and names no agents yet" } else { "is there already" };
        print(&format!("The config {file} {state}."));
    }
    finish(register(&McpServers::of_user(&paths.home), &registration, force), json, |registered| {
        if json {
            return print_json(&json!({
                "config": paths.config_file,
                "config_created": created,
                "registration": registered.state,
                "command": [registration.program, "serve"],
            }));
        }
        print(&registered.sentence);
        if created {
            print("Next, add a project: agent-dispatch add NAME DIRECTORY");
        }
        Ok(())
    })
}

/// How Claude Code is to start this program.
pub(super) fn registration(paths: &Paths) -> anyhow::Result<Registration> {
    let own = std::env::current_exe()?;
    // The one on PATH stays where it is when another version takes its place.
    let on_path = which::which("agent-dispatch").ok();
    let same = |path: &PathBuf| path.canonicalize().ok() == own.canonicalize().ok();
    Ok(Registration {
        program: on_path.filter(same).unwrap_or(own),
        config_file: paths.is_config_named.then(|| paths.config_file.clone()),
    })
}

fn register(
    servers: &McpServers,
    registration: &Registration,
    force: bool,
) -> Result<Registered, Refusal> {
    let by_hand = || format!("This is what would register it: {}", registration.by_hand());
    let refused = |problem: String| {
        Refusal::new(format!("not registered with Claude Code: {problem}")).with_hint(by_hand())
    };
    let this = registration.shown();
    let done = |state, sentence| Ok(Registered { state, sentence });
    match servers.registered().map_err(refused)? {
        None => {
            servers.add(registration).map_err(refused)?;
            done("added", format!("Registered with Claude Code for all projects: {this}"))
        }
        Some(present) if registration.is(&present) => {
            done("present", format!("Claude Code has it registered already: {this}"))
        }
        Some(present) if force => {
            servers.replace(&present, registration).map_err(refused)?;
            let instead = shown_registration(&present);
            done("replaced", format!("Registered with Claude Code: {this}, instead of {instead}"))
        }
        Some(present) => Err(another(registration, &present)),
    }
}

fn another(registration: &Registration, present: &Value) -> Refusal {
    Refusal::new(format!(
        "Claude Code has another agent-dispatch registered: {}; this one is {}",
        shown_registration(present),
        registration.shown()
    ))
    .with_hint("'agent-dispatch init --force' registers this one instead.")
}
