//! `demo`: the main job on sample projects, with no account and no network.
//!
//! Everything but the agent's mind is real: the config, the policies, the runner,
//! a child process in the project's directory, its event stream.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::signals::Signals;
use super::terminal::{BOLD, FAINT, GOOD, print, print_text, refuse, report};
use crate::config::Paths;
use crate::dispatch::{Dispatcher, Lineage, Listener, Request};

/// The sample project, which lies in `examples/projects`.
const INFRA: &[(&str, &str)] = &[
    ("CLAUDE.md", include_str!("../../examples/projects/infra/CLAUDE.md")),
    ("services.md", include_str!("../../examples/projects/infra/services.md")),
    ("logs/scheduler.log", include_str!("../../examples/projects/infra/logs/scheduler.log")),
];

/// How long an interrupted demo waits for what still writes into its folder.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut folder = None;
    let code = super::on_runtime(PATIENCE, async {
        // Before there is a folder that a signal could leave behind.
        let mut signals = Signals::new()?;
        let made = tempfile::Builder::new().prefix("agent-dispatch-demo-").tempdir()?;
        tokio::select! {
            code = show(folder.insert(made).path()) => code,
            code = signals.next() => Ok(code),
        }
    })?;
    folder.map_or(Ok(()), TempDir::close)?;
    print(&format!("{FAINT}The demo's folder is gone; nothing was left behind.{FAINT:#}"));
    Ok(code)
}

async fn show(folder: &Path) -> anyhow::Result<ExitCode> {
    write_project(&folder.join("infra"), INFRA)?;
    let config_file = folder.join("agents.yaml");
    let config = config(folder)?;
    fs::write(&config_file, &config)?;
    let paths = Paths {
        home: folder.to_owned(),
        is_config_named: true,
        config_file,
        cache_folder: folder.join("cache"),
        state_folder: folder.join("state"),
    };
    let dispatcher = Arc::new(Dispatcher::new(&paths, &super::executable()?, Lineage::default()));

    print(&format!("{BOLD}agent-dispatch demo{BOLD:#}: one project asks another.\n"));
    print("Two agents share the sample project 'infra'. They differ in one thing only, the policy");
    print("that writes their prompts. A practice agent stands in for the real CLI.\n");
    print(&format!("{FAINT}# agents.yaml{FAINT:#}"));
    print_text(&config)?;

    let mut code = ExitCode::SUCCESS;
    for agent in ["infra", "infra-xml"] {
        if !show_dispatch(&dispatcher, agent).await? {
            code = ExitCode::FAILURE;
        }
    }
    dispatcher.end().await;
    Ok(code)
}

async fn show_dispatch(dispatcher: &Arc<Dispatcher>, agent: &str) -> anyhow::Result<bool> {
    let request = Request {
        agent: agent.to_owned(),
        task: "Check the scheduler's logs for recent errors and say who owns the service.".into(),
        context: "Error: TypeError at scheduler.py:42".into(),
        caller: "backend".into(),
        goal: "debug a production crash".into(),
        ..Request::default()
    };
    print(&format!("\n{BOLD}── {agent} ──{BOLD:#}"));
    match dispatcher.preview(request.clone()).await {
        Ok(Ok(preview)) => {
            print(&format!("{FAINT}# the prompt that policy {} wrote{FAINT:#}", preview.policy));
            print_text(&preview.prompt)?;
        }
        Ok(Err(reply)) => {
            report(&reply.error.unwrap_or_default(), reply.hint.as_deref());
            return Ok(false);
        }
        Err(refusal) => {
            refuse(&refusal, false);
            return Ok(false);
        }
    }
    let started = Instant::now();
    match dispatcher.dispatch(request, &Listener::nobody()).await {
        Ok(reply) if reply.success => {
            let elapsed = started.elapsed().as_secs_f64() * 1000.0;
            print(&format!("\n{GOOD}# the agent's reply, after {elapsed:.0} ms{GOOD:#}"));
            print_text(&reply.result)?;
            Ok(true)
        }
        Ok(reply) => {
            report(&reply.error.unwrap_or_default(), reply.hint.as_deref());
            Ok(false)
        }
        Err(refusal) => {
            refuse(&refusal, false);
            Ok(false)
        }
    }
}

fn write_project(folder: &Path, files: &[(&str, &str)]) -> std::io::Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// The demo's config. The paths are written as JSON strings, which are YAML too,
/// so that any path will do.
fn config(folder: &Path) -> anyhow::Result<String> {
    let program = json!(std::env::current_exe()?.to_string_lossy());
    let infra = json!(folder.join("infra").to_string_lossy());
    Ok(format!(
        "\
agents:
  infra:
    directory: {infra}
    description: Runs the shop; logs and deployments of all services
  infra-xml:
    directory: {infra}
    description: The same, with another prompt policy
    policies: {{prompt: xml}}
settings:
  command: [{program}, practice-agent]
"
    ))
}
