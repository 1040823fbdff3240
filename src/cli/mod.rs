//! The command line: one file a command. The only room that prints.
//!
//! Data goes to standard output, everything else to standard error. Exit codes:
//! 0 for success, 1 when a command could not do its work, 2 for a command line
//! that cannot be understood, 130 and 143 after a signal.
//!
//! `command_line` says what can be typed; who asks agents does it through `waiting`, which
//! has `progress` tell how far they are.

mod add;
mod command_line;
mod demo;
mod describe;
mod dialogue;
mod dispatch;
mod doctor;
mod init;
mod items;
mod jobs;
mod list;
mod log;
mod manual;
mod parallel;
mod policy;
mod practice_agent;
mod progress;
mod remove;
mod serve;
mod signals;
mod stats;
mod terminal;
mod tree;
mod waiting;
mod wording;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;

use crate::config::Paths;
use crate::dispatch::{Dispatcher, Lineage};
use command_line::{Command, CommandLine};
use terminal::report;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    let code = run(command).unwrap_or_else(|error| {
        report(&format!("{error:#}"), None);
        ExitCode::FAILURE
    });
    log::finish();
    code
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    // Nobody sees a server work: its log says more by default.
    let level = match command {
        Command::Serve => tracing::Level::INFO,
        _ => tracing::Level::WARN,
    };
    log::start(level);
    // A directory on a hanging mount must not keep a process that is done.
    let at_once = Duration::ZERO;
    match command {
        Command::Serve => on_runtime(at_once, async { serve::run(dispatcher()?).await }),
        Command::Init { force, json } => init::run(force, json),
        Command::Add(arguments) => {
            on_runtime(at_once, async { add::run(&dispatcher()?, arguments).await })
        }
        Command::Remove { name, json } => {
            on_runtime(at_once, async { remove::run(&dispatcher()?, &name, json).await })
        }
        Command::Describe { name, json } => {
            on_runtime(at_once, async { describe::run(&dispatcher()?, &name, json).await })
        }
        Command::List { json } => {
            on_runtime(at_once, async { list::run(&dispatcher()?, json).await })
        }
        Command::Doctor { json } => {
            on_runtime(at_once, async { doctor::run(&dispatcher()?, json).await })
        }
        Command::Test { name, task } => {
            on_runtime(at_once, async { dispatch::test(&dispatcher()?, name, task).await })
        }
        Command::Dispatch(arguments) => {
            on_runtime(at_once, async { dispatch::run(&dispatcher()?, arguments).await })
        }
        Command::Parallel(arguments) => {
            on_runtime(at_once, async { parallel::run(&dispatcher()?, arguments).await })
        }
        Command::Dialogue(arguments) => {
            on_runtime(at_once, async { dialogue::run(&dispatcher()?, arguments).await })
        }
        Command::Stats { days, agent, json } => {
            on_runtime(at_once, async { stats::run(&dispatcher()?, days, agent, json).await })
        }
        Command::Tree { id, limit, json } => {
            on_runtime(at_once, async { tree::run(&dispatcher()?, id, limit, json).await })
        }
        Command::Policy { command } => policy::run(command),
        Command::Jobs(arguments) => {
            on_runtime(at_once, async { jobs::list(&dispatcher()?, arguments).await })
        }
        Command::Job { id, json } => {
            on_runtime(at_once, async { jobs::show(&dispatcher()?, &id, json).await })
        }
        Command::Cancel { id, json } => {
            on_runtime(at_once, async { jobs::cancel(&dispatcher()?, &id, json).await })
        }
        Command::Gc { days, all, dry_run, json } => {
            let age = (!all).then_some(days);
            on_runtime(at_once, async { jobs::forget(&dispatcher()?, age, dry_run, json).await })
        }
        Command::KeepJob { id } => {
            on_runtime(at_once, async { jobs::keep(&dispatcher()?, &id).await })
        }
        Command::Demo => demo::run(),
        Command::Completions { shell } => Ok(manual::completions(shell)?),
        Command::Man { dir } => Ok(manual::man(dir.as_deref())?),
        // These three are processes of their own and never meet a runtime.
        Command::Runner => Ok(crate::agent::runner_main().map(|()| ExitCode::SUCCESS)?),
        Command::CompilePolicy => Ok(compile_policy()),
        Command::PracticeAgent(arguments) => practice_agent::run(&arguments),
    }
}

/// Runs a command's work; waits so long for what it left on other threads.
fn on_runtime(
    patience: Duration,
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(patience);
    result
}

fn compile_policy() -> ExitCode {
    match crate::policy::compile_main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            terminal::plain_error(&reason);
            ExitCode::FAILURE
        }
    }
}

fn dispatcher() -> anyhow::Result<Arc<Dispatcher>> {
    let paths = Paths::from_environment()?;
    Ok(Arc::new(Dispatcher::new(&paths, &executable()?, Lineage::from_environment())))
}

/// This binary, to be started again as runner or compiler.
fn executable() -> std::io::Result<PathBuf> {
    // Stays this very binary when an upgrade replaces the file on disk.
    let own = PathBuf::from("/proc/self/exe");
    if own.exists() { Ok(own) } else { std::env::current_exe() }
}
