//! `policy run`: one call of a policy, and what it decides.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::terminal::{BOLD, finish, note, print, print_json, print_text, report};
use super::{RunArgs, lines, yaml};
use crate::dispatch::{Dispatcher, Refusal, Trial, Tried};

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: RunArgs,
) -> anyhow::Result<ExitCode> {
    let json = arguments.json;
    let mut failed = false;
    let shown = finish(call(dispatcher, arguments).await, json, |(kind, tried)| {
        failed = tried.failure.is_some();
        show(kind, &tried, json)
    })?;
    Ok(if failed { ExitCode::FAILURE } else { shown })
}

async fn call(
    dispatcher: &Arc<Dispatcher>,
    arguments: RunArgs,
) -> Result<(&'static str, Tried), Refusal> {
    let subject = dispatcher.subject(&arguments.policy).await?;
    let subject = subject.with_config(arguments.config.as_ref());
    let kind = subject.kind(arguments.kind.as_deref())?;
    let folder = std::env::current_dir().unwrap_or_default();
    let trial = Trial { kind, input: input(arguments)?, folder };
    Ok((kind, dispatcher.try_policy(&subject, trial).await?))
}

/// What the flags say, put over what the file says.
fn input(arguments: RunArgs) -> Result<Value, Refusal> {
    let RunArgs { input, task, context, caller, goal, agent, interpret, project, topic, .. } =
        arguments;
    let mut given = match input {
        None => Map::new(),
        Some(file) => match yaml(&read(&file)?, "the input")? {
            Value::Object(given) => given,
            Value::Null => Map::new(),
            _ => {
                return Err(Refusal::new("the input has to be a mapping")
                    .with_hint("'agent-dispatch help policy run' shows an input for each kind."));
            }
        },
    };
    let project = project.map(|path| path.to_string_lossy().into_owned());
    for (key, value) in [
        ("task", task),
        ("context", context),
        ("caller", caller),
        ("goal", goal),
        ("agent", agent),
        ("reply", interpret),
        ("project", project),
        ("topic", topic),
    ] {
        if let Some(value) = value {
            given.insert(key.to_owned(), Value::String(value));
        }
    }
    Ok(Value::Object(given))
}

fn read(file: &PathBuf) -> Result<String, Refusal> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let what = file.display();
    read.map_err(|error| Refusal::new(format!("the input cannot be read from {what}: {error}")))
}

fn show(kind: &str, tried: &Tried, json: bool) -> anyhow::Result<()> {
    let took = tried.took.map(|took| took.as_secs_f64() * 1000.0);
    if json {
        return print_json(&json!({
            "policy": tried.policy,
            "kind": kind,
            "decision": tried.outcome,
            "texts": tried.texts.iter().map(|(what, text)| json!({"what": what, "text": text})).collect::<Vec<_>>(),
            "error": tried.failure.as_ref().map(ToString::to_string),
            "ms": took.map(|ms| (ms * 1000.0).round() / 1000.0),
        }));
    }
    if let Some(failure) = &tried.failure {
        report(&failure.to_string(), None);
    } else {
        print_text(&lines(&tried.outcome))?;
        for (what, text) in &tried.texts {
            print(&format!("\n{BOLD}# {what}, put together{BOLD:#}"));
            print_text(text)?;
        }
    }
    if let (Some(policy), Some(ms)) = (&tried.policy, took) {
        note(&format!("{kind} policy {policy} took {ms:.1} ms"));
    }
    Ok(())
}
