//! The command line: one file a command. The only room that prints.
//!
//! Data goes to standard output, everything else to standard error. Exit codes:
//! 0 for success, 1 when a command could not do its work, 2 for a command line
//! that cannot be understood, 130 and 143 after a signal.

mod add;
mod demo;
mod describe;
mod dispatch;
mod doctor;
mod init;
mod list;
mod log;
mod manual;
mod practice_agent;
mod remove;
mod serve;
mod signals;
mod stats;
mod terminal;
mod tree;
mod wording;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::Paths;
use crate::dispatch::{Dispatcher, Lineage};
use terminal::report;

#[derive(Parser)]
#[command(
    version,
    about = "Lets one coding agent ask the agent of another project",
    after_help = "Agents are configured in ~/.config/agent-dispatch/agents.yaml; AGENT_DISPATCH_CONFIG names another file.\nAGENT_DISPATCH_LOG (error, warn, info, debug, trace) sets what is logged to standard error; serve logs info, the others warn."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve MCP on standard input and output; a client such as Claude Code starts this
    Serve,
    /// Make a config to begin with, and register the server with Claude Code
    Init {
        /// Register this program even where another one is registered
        #[arg(long)]
        force: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a project directory as an agent, or every project in a directory
    Add(AddArgs),
    /// Remove an agent from the config; its directory stays as it is
    Remove {
        /// The agent's name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have an agent's describe policy look at its project afresh, and print what it says
    Describe {
        /// The agent's name
        name: String,
        /// Print JSON, with what else it found
        #[arg(long)]
        json: bool,
    },
    /// List the agents and what is wrong with the config
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look whether everything is there that a dispatch needs; spends nothing
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask an agent something harmless, to see that it works
    Test {
        /// The agent's name
        name: String,
        /// What to ask
        #[arg(default_value = "Say in one sentence what this project is.")]
        task: String,
    },
    /// Dispatch a task to an agent and print its answer
    Dispatch(DispatchArgs),
    /// Show what the dispatches so far add up to: how many, how long, how much
    Stats {
        /// Count the last so many days only; 0 is all that is known
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        days: u32,
        /// Count this agent only
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show who asked whom, how long it took, what it cost and how it ended
    Tree {
        /// The id of a dispatch or the beginning of it, or of a trace; without it the latest
        id: Option<String>,
        /// Show so many of the latest
        #[arg(long, default_value_t = 10, conflicts_with = "id")]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how it works on sample projects, with no account and no network
    Demo,
    /// Print a script that completes this program's command line
    Completions {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// Write a page for each command into this folder instead
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
    #[command(hide = true, about = "Start and end agent processes for a server (internal)")]
    Runner,
    #[command(hide = true, about = "Compile the component on standard input (internal)")]
    CompilePolicy,
    #[command(hide = true, about = "Stand in for an agent CLI in the demo (internal)")]
    PracticeAgent(practice_agent::PracticeArgs),
}

#[derive(Args)]
struct AddArgs {
    /// What the agent is to be called
    #[arg(required_unless_present = "scan")]
    name: Option<String>,
    /// The project's directory
    #[arg(required_unless_present = "scan")]
    directory: Option<PathBuf>,
    /// What the agent is good for; without it the describe policy says so
    #[arg(short, long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    description: String,
    /// Seconds a dispatch to it may take; without it what settings say
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// The model it is to use; without it the agent CLI's own
    #[arg(long)]
    model: Option<String>,
    /// Add each subdirectory of this one that has a CLAUDE.md or .git
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["name", "directory", "description", "timeout", "model"])]
    scan: Option<PathBuf>,
    /// Only show what --scan would add
    #[arg(long, requires = "scan", conflicts_with = "name")]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct DispatchArgs {
    /// The agent's name, from `agent-dispatch list`
    name: String,
    /// What the agent should do
    task: String,
    /// Material to work with: error messages, code, logs
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    context: String,
    /// Who is asking
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    caller: String,
    /// What the answer is for
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    goal: String,
    /// Seconds the agent may take, from 10 to 7200; 0 is what the config says
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    timeout: u64,
    /// Go on with the conversation that has this session_id
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Have the agent answer even where an earlier answer is at hand
    #[arg(long)]
    fresh: bool,
    /// Print the whole reply as JSON
    #[arg(long)]
    json: bool,
    /// Print the exact prompt and command line, and run nothing
    #[arg(long)]
    dry_run: bool,
}

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
        Command::Stats { days, agent, json } => {
            on_runtime(at_once, async { stats::run(&dispatcher()?, days, agent, json).await })
        }
        Command::Tree { id, limit, json } => {
            on_runtime(at_once, async { tree::run(&dispatcher()?, id, limit, json).await })
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
