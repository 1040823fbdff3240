//! `policy`: all that has to do with policies, a file for each of its commands: from an empty
//! folder to a component that does what it should, and from there into the config.
//!
//! `templates/` has the projects that `new` makes, whole files that lie in this repository;
//! `project` is such a project as the other commands find it.

mod add;
mod build;
mod cases;
mod check;
mod forget;
mod golden;
mod list;
mod new;
mod project;
mod remove;
mod replay;
mod run;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::Value;

use super::{dispatcher, on_runtime};
use crate::dispatch::Refusal;
use crate::policy::KINDS;

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Make a project for a policy of your own, which builds and has test cases
    New(NewArgs),
    /// Build the component of such a project, and look whether it can be used
    Build {
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Say what a component is, and everything at once that keeps it from being used
    Check(CheckArgs),
    /// Call a policy once, and print what it decides; asks no agent
    Run(RunArgs),
    /// Call a policy for each of its test cases, and show where it decides otherwise
    Test(TestArgs),
    /// Install a component beside the config, where it changes only by being added again
    Add(add::AddArgs),
    /// Remove a policy from the config, and its component where it was installed
    Remove(remove::RemoveArgs),
    /// List the policies, where they come from and who chooses them
    List(list::ListArgs),
    /// Show what another policy would have decided, where settings.record_policies had decisions kept
    Replay(replay::ReplayArgs),
    /// Forget all decisions that settings.record_policies had kept
    Forget(forget::ForgetArgs),
}

#[derive(Args)]
pub(super) struct NewArgs {
    /// What the policy is to be called; also the name of the folder
    name: String,
    /// What it decides
    #[arg(long, value_parser = KINDS)]
    kind: String,
    /// The language it is written in
    #[arg(long, value_enum)]
    lang: Language,
}

#[derive(Args)]
pub(super) struct CheckArgs {
    /// A component's file, or the name of a policy in agents.yaml or of a built-in one
    policy: PathBuf,
    /// What it has to serve as; needed where built-in policies of several kinds have this name
    #[arg(long, value_parser = KINDS)]
    kind: Option<String>,
    /// The config that it is to check, as JSON
    #[arg(long, value_name = "JSON", value_parser = json)]
    config: Option<Value>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = RUN_HELP)]
pub(super) struct RunArgs {
    /// A component's file, or the name of a policy in agents.yaml or of a built-in one
    policy: PathBuf,
    /// What it is to be called as, where it serves as several kinds
    #[arg(long, value_parser = KINDS)]
    kind: Option<String>,
    /// The input as JSON or YAML in this file; - is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Prompt: what is asked
    #[arg(long, allow_hyphen_values = true)]
    task: Option<String>,
    /// Prompt: material to work with
    #[arg(long, allow_hyphen_values = true)]
    context: Option<String>,
    /// Prompt and aggregate: who asks
    #[arg(long, allow_hyphen_values = true)]
    caller: Option<String>,
    /// Prompt and aggregate: what it is for
    #[arg(long, allow_hyphen_values = true)]
    goal: Option<String>,
    /// Prompt: who is asked, by name
    #[arg(long)]
    agent: Option<String>,
    /// Prompt: a reply's text, which it is to interpret instead of wording a request
    #[arg(long, value_name = "REPLY", allow_hyphen_values = true)]
    interpret: Option<String>,
    /// Describe: the project's directory
    #[arg(long, value_name = "DIRECTORY")]
    project: Option<PathBuf>,
    /// Dialogue: what is to be resolved
    #[arg(long, allow_hyphen_values = true)]
    topic: Option<String>,
    /// Its config, as JSON, instead of what its entry in agents.yaml says
    #[arg(long, value_name = "JSON", value_parser = json)]
    config: Option<Value>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const RUN_HELP: &str = r#"The input is what the interface says: a record is a mapping, its names with _ for -; a case that
holds something is a mapping with that one key, and one that holds nothing is a text. What is left
out is as in a plain call, and a text stands for an agent's name or a reply's text. An input for
each kind:
  prompt     {"task": "Count the orders", "context": "a log", "agent": {"name": "shop"}}
  prompt     {"task": "Count the orders", "reply": {"text": "There are four."}}
  describe   {"project": "."}
  aggregate  {"items": [{"agent": "shop", "state": {"settled": {"text": "Yes."}}}, {"agent": "infra", "state": "running"}]}
  dialogue   {"topic": "Who repairs it?", "turns": [{"side": "responder", "reply": {"text": "We do."}}]}
With a reply a prompt policy interprets it. Requests, replies, agents, situations and what is left
have the other fields of wit/ too."#;

#[derive(Args)]
#[command(after_help = TEST_HELP)]
pub(super) struct TestArgs {
    /// A project's folder, a component's file, or the name of a policy in agents.yaml or of a built-in one
    #[arg(default_value = ".")]
    policy: PathBuf,
    /// The cases; without it cases.yaml beside the component
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Have the cases expect what the policy decides now
    #[arg(long)]
    update: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const TEST_HELP: &str = "\
The cases are a list in YAML. Each has a name, an input ('agent-dispatch help policy run' shows some)
and what to expect; it may have a config, and the kind where the component serves as several:
  - name: a task alone
    input: {task: Count the orders}
    expect: {user: Count the orders}
A failure can be expected too: {error: {WORD: TEXT}}, as the command shows it. Exit code 0 means
that all is as expected.";

/// The languages that there are projects in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    Rust,
    Javascript,
    Python,
}

impl Language {
    fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Python => "python",
        }
    }

    /// The file that the policy is written in.
    fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Javascript => "policy.js",
            Self::Python => "policy.py",
        }
    }

    /// The commands that get the tools it is built with, once for a project.
    fn tools(self) -> &'static str {
        match self {
            Self::Rust => "rustup target add wasm32-wasip2",
            Self::Javascript => "npm install",
            Self::Python => "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        }
    }
}

pub(super) fn run(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    // A call that is done leaves nothing behind to wait for.
    let at_once = std::time::Duration::ZERO;
    match command {
        PolicyCommand::New(arguments) => new::run(&arguments),
        PolicyCommand::Build { dir } => {
            on_runtime(at_once, async { build::run(&dispatcher()?, &dir).await })
        }
        PolicyCommand::Check(arguments) => {
            on_runtime(at_once, async { check::run(&dispatcher()?, arguments).await })
        }
        PolicyCommand::Run(arguments) => {
            on_runtime(at_once, async { run::run(&dispatcher()?, arguments).await })
        }
        PolicyCommand::Test(arguments) => {
            on_runtime(at_once, async { test::run(&dispatcher()?, arguments).await })
        }
        PolicyCommand::Add(arguments) => {
            on_runtime(at_once, async { add::run(&dispatcher()?, arguments).await })
        }
        PolicyCommand::Remove(arguments) => {
            on_runtime(at_once, async { remove::run(&dispatcher()?, arguments).await })
        }
        PolicyCommand::List(arguments) => {
            on_runtime(at_once, async { list::run(&dispatcher()?, arguments).await })
        }
        PolicyCommand::Replay(arguments) => {
            on_runtime(at_once, async { replay::run(&dispatcher()?, arguments).await })
        }
        PolicyCommand::Forget(arguments) => {
            on_runtime(at_once, async { forget::run(&dispatcher()?, arguments).await })
        }
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

/// A text as YAML, which JSON is too.
fn yaml(text: &str, what: &str) -> Result<Value, Refusal> {
    serde_yaml::from_str(text)
        .map_err(|error| Refusal::new(format!("{what} cannot be read: {error}")))
}

/// A value in lines, as it stands under `expect` of a case.
fn lines(value: &Value) -> String {
    // What came as JSON can be written as YAML.
    serde_yaml::to_string(value).unwrap_or_else(|_| value.to_string())
}
