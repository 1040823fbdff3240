//! `policy build`: the language's own tool makes the component, and it is looked at as
//! `check` does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use serde::Deserialize;

use super::super::terminal::{print, refuse};
use super::project::Project;
use super::{Language, check};
use crate::dispatch::{Dispatcher, Refusal};

/// What Rust's own compiler makes components for.
const TARGET: &str = "wasm32-wasip2";

pub(super) async fn run(dispatcher: &Arc<Dispatcher>, dir: &Path) -> anyhow::Result<ExitCode> {
    let inspected = async {
        let built = build(&Project::read(dir)?)?;
        let subject = dispatcher.subject(&built).await?;
        dispatcher.inspect(&subject, None).await
    };
    let inspection = match inspected.await {
        Ok(inspection) => inspection,
        Err(refusal) => {
            refuse(&refusal, false);
            return Ok(ExitCode::FAILURE);
        }
    };
    check::show(&inspection);
    if !inspection.problems.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let folder = dir.display();
    print(&format!("Try its cases: agent-dispatch policy test {folder}"));
    Ok(ExitCode::SUCCESS)
}

/// Builds the component and puts it into its place.
fn build(project: &Project) -> Result<PathBuf, Refusal> {
    let component = project.component();
    match project.language {
        Language::Rust => {
            let made = rust(project)?;
            // Written elsewhere, then renamed: a server that follows the file never sees half.
            let next = component.with_extension("wasm.next");
            let moved = fs::copy(&made, &next).and_then(|_| fs::rename(&next, &component));
            moved.map_err(|error| {
                Refusal::new(format!("{} cannot be written: {error}", component.display()))
            })?;
        }
        Language::Javascript => javascript(project)?,
        Language::Python => python(project)?,
    }
    if component.is_file() {
        return Ok(component);
    }
    Err(Refusal::new(format!("the build ended well, and {} is not there", component.display()))
        .with_hint("Have the build write it there; README.md of a fresh project says how."))
}

fn rust(project: &Project) -> Result<PathBuf, Refusal> {
    let install = || "Install Rust from https://rustup.rs".to_owned();
    let mut rustc = Command::new("rustc");
    let asked = rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let asked = asked.current_dir(&project.folder).stderr(Stdio::inherit()).output();
    let asked = asked.map_err(|_| missing("rustc is not there", install()))?;
    let library = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    if !Path::new(&library).is_dir() {
        return Err(missing(
            &format!("Rust has no standard library for {TARGET}"),
            format!("Add it: {}", Language::Rust.tools()),
        ));
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", TARGET]);
    cargo.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let said = done(cargo, project, "cargo", &install())?;
    made_by_cargo(&said).ok_or_else(|| {
        Refusal::new("cargo has built no component").with_hint(
            "The package has to be a library with the crate type cdylib, as in the Cargo.toml of a fresh project.",
        )
    })
}

/// The component among what cargo says that it made.
fn made_by_cargo(said: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let made = messages.filter(|message| message.reason == "compiler-artifact");
    let mut files = made.flat_map(|message| message.filenames).collect::<Vec<_>>();
    files.retain(|file| file.extension().is_some_and(|end| end == "wasm"));
    files.pop()
}

fn javascript(project: &Project) -> Result<(), Refusal> {
    let install = "Install Node 20 or newer from https://nodejs.org";
    let library = project.folder.join("node_modules/@bytecodealliance/componentize-js");
    if !library.is_dir() {
        let nodes =
            which::which("npm").map_or_else(|_| format!("{install}, then: "), |_| String::new());
        let way_out = format!("{nodes}{}", in_folder(project, Language::Javascript.tools()));
        return Err(missing("componentize-js is not installed in the project", way_out));
    }
    let mut node = Command::new("node");
    node.arg("build.mjs");
    done(node, project, "node", install).map(|_| ())
}

fn python(project: &Project) -> Result<(), Refusal> {
    let own = PathBuf::from(".venv/bin/componentize-py");
    let way_out = in_folder(project, Language::Python.tools());
    let program = if project.folder.join(&own).is_file() {
        std::path::absolute(project.folder.join(&own)).unwrap_or(own)
    } else {
        which::which("componentize-py").map_err(|_| {
            missing(
                "componentize-py is neither in the project's .venv nor on PATH",
                way_out.clone(),
            )
        })?
    };
    let next = format!("{}.wasm.next", project.name);
    let mut command = Command::new(program);
    command.args(["-d", "wit", "-w", &project.world, "componentize", "policy", "-o", &next]);
    done(command, project, "componentize-py", &way_out)?;
    let (next, component) = (project.folder.join(next), project.component());
    fs::rename(next, &component).map_err(|error| {
        Refusal::new(format!("{} cannot be written: {error}", component.display()))
    })
}

/// Runs a build to its end; what it says on standard output where that is asked for. What
/// it says to people goes where they see it.
fn done(
    mut command: Command,
    project: &Project,
    program: &str,
    way_out: &str,
) -> Result<String, Refusal> {
    command.current_dir(&project.folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    let ended = command.output().map_err(|error| {
        missing(&format!("{program} cannot be started: {error}"), way_out.to_owned())
    })?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() {
        return Ok(said);
    }
    // Some tools tell their troubles on standard output.
    let told: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    let last = told[told.len().saturating_sub(20)..].join("\n");
    let mut problem = format!("{program} could not build the policy ({})", ended.status);
    if !last.trim().is_empty() {
        problem = format!("{problem}:\n{last}");
    }
    Err(Refusal::new(problem)
        .with_hint("What it says above is about the policy's source; correct it and build again."))
}

fn missing(what: &str, way_out: String) -> Refusal {
    Refusal::new(what).with_hint(way_out)
}

/// A command line for somebody who may be elsewhere.
fn in_folder(project: &Project, command: &str) -> String {
    let folder = project.folder.to_string_lossy();
    match shlex::try_quote(&folder) {
        _ if folder == "." => format!("Install it: {command}"),
        Ok(folder) => format!("Install it: cd {folder} && {command}"),
        Err(_) => format!("Install it in the project's folder: {command}"),
    }
}
