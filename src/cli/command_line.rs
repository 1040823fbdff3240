//! What can be typed: the commands and their arguments, with the sentences that `--help`,
//! shells and the manual page show.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use super::policy::PolicyCommand;
use super::practice_agent::PracticeArgs;

#[derive(Parser)]
#[command(
    version,
    about = "Lets one coding agent ask the agent of another project",
    after_help = "Agents are configured in ~/.config/agent-dispatch/agents.yaml; AGENT_DISPATCH_CONFIG names another file.\nAGENT_DISPATCH_LOG (error, warn, info, debug, trace) sets what is logged to standard error; serve logs info, the others warn."
)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
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
    /// Dispatch several tasks at once, and have their answers made into one where that is wanted
    Parallel(ParallelArgs),
    /// Have two agents talk until a matter is resolved, and print what they said
    Dialogue(DialogueArgs),
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
    /// Write, check, test, install, list and replay policies
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Show the jobs of all sessions, newest first
    Jobs(JobsArgs),
    /// Show a job and what came of it
    Job {
        /// The job's id, from `agent-dispatch jobs`
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel a job, also one whose agent works
    Cancel {
        /// The job's id, from `agent-dispatch jobs`
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget jobs that were over some days ago, with their results
    Gc {
        /// Those that were over so many days ago or longer
        #[arg(long, default_value_t = 7.0, conflicts_with = "all")]
        days: f64,
        /// All that are over
        #[arg(long)]
        all: bool,
        /// Only show which they are
        #[arg(long)]
        dry_run: bool,
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
    #[command(hide = true, about = "Keep a job until it is over (internal)")]
    KeepJob { id: String },
    #[command(hide = true, about = "Compile the component on standard input (internal)")]
    CompilePolicy,
    #[command(hide = true, about = "Stand in for an agent CLI in the demo (internal)")]
    PracticeAgent(PracticeArgs),
}

#[derive(Args)]
pub(super) struct AddArgs {
    /// What the agent is to be called
    #[arg(required_unless_present = "scan")]
    pub(super) name: Option<String>,
    /// The project's directory
    #[arg(required_unless_present = "scan")]
    pub(super) directory: Option<PathBuf>,
    /// What the agent is good for; without it the describe policy says so
    #[arg(short, long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(super) description: String,
    /// Seconds a dispatch to it may take; without it what settings say
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) timeout: Option<u32>,
    /// The model it is to use; without it the agent CLI's own
    #[arg(long)]
    pub(super) model: Option<String>,
    /// Add each subdirectory of this one that has a CLAUDE.md or .git
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["name", "directory", "description", "timeout", "model"])]
    pub(super) scan: Option<PathBuf>,
    /// Only show what --scan would add
    #[arg(long, requires = "scan", conflicts_with = "name")]
    pub(super) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct DispatchArgs {
    /// The agent's name, from `agent-dispatch list`
    pub(super) name: String,
    /// What the agent should do
    pub(super) task: String,
    /// Material to work with: error messages, code, logs
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(super) context: String,
    /// Who is asking
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(super) caller: String,
    /// What the answer is for
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(super) goal: String,
    /// Seconds the agent may take, from 10 to 7200; 0 is what the config says
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    pub(super) timeout: u64,
    /// Go on with the conversation that has this session_id
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<String>,
    /// Have the agent answer even where an earlier answer is at hand
    #[arg(long)]
    pub(super) fresh: bool,
    /// Print the whole reply as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Print the exact prompt and command line, and run nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args)]
pub(super) struct JobsArgs {
    /// Show those that stand so
    #[arg(long, value_parser = ["pending", "running", "done", "failed", "cancelled"])]
    pub(super) status: Option<String>,
    /// Show those of this agent
    #[arg(long, value_name = "NAME")]
    pub(super) agent: Option<String>,
    /// Show so many of the latest
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Keep what is shown up to date until Ctrl-C, which leaves the jobs alone
    #[arg(long)]
    pub(super) follow: bool,
}

#[derive(Args)]
#[command(after_help = PARALLEL_HELP)]
pub(super) struct ParallelArgs {
    /// JSON or YAML with the tasks; without it, or with -, they are read from standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,
    /// The agent that is to put the answers together, instead of what the tasks' file says
    #[arg(long, value_name = "AGENT")]
    pub(super) aggregate: Option<String>,
    /// How the answers become one, by the name of an aggregate policy, instead of what the file says
    #[arg(long, value_name = "NAME")]
    pub(super) policy: Option<String>,
    /// Print all replies as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const PARALLEL_HELP: &str = "\
The tasks are a list:
  - {agent: infra, task: Which services restarted today?}
  - {agent: shop, task: Which orders failed today?, goal: find the cause}
Each item may also have context, caller, timeout_seconds and fresh. In place of the list there can
be a mapping, which has it as dispatches, and may have aggregate and aggregate_policy.
Exit code 0 means that every agent answered, and that there is one answer where one was wanted.";

#[derive(Args)]
pub(super) struct DialogueArgs {
    /// The agent with the problem
    pub(super) requester: String,
    /// The agent that is asked for help; it speaks first
    pub(super) responder: String,
    /// What is to be resolved; it is all that the two are told
    pub(super) topic: String,
    /// How many turns each of the two may have, from 1 to 10; without it 3
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(super) rounds: Option<u32>,
    /// When it is over, by the name of a dialogue policy; without it what the config says
    #[arg(long, value_name = "NAME")]
    pub(super) policy: Option<String>,
    /// Print all that came of it as JSON
    #[arg(long)]
    pub(super) json: bool,
}
