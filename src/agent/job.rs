//! What is run and what happens while it runs, as plain data.
//!
//! Both sides of the runner's socket speak in these types, and so will whatever
//! else a run is handed to later. A change of their shape is a new [`FORMAT`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of [`Job`] and [`RunEvent`].
pub const FORMAT: u32 = 2;

/// The variable that marks every process of a run with the run's id. Where an
/// agent dispatches in turn, the ids of all runs above come first, divided by `/`,
/// so that the end of an outer run finds the processes of the inner one.
pub const RUN_MARK: &str = "AGENT_DISPATCH_RUN";

/// One process to start: nothing here is particular to an agent CLI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// [`FORMAT`].
    pub version: u32,
    /// The run's id; it has no `/`.
    pub run: String,
    /// A path, or a name that is looked up on PATH.
    pub program: String,
    /// What follows the program's name.
    pub args: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// How its environment differs from the server's.
    pub environment: Environment,
    /// After a normal end, which is any exit code but no signal, what it left behind
    /// stays: it is nobody's business any more and outlives the server. An end from
    /// here takes all of it as ever.
    pub keep_background: bool,
}

/// Changes to an environment: first what goes, then what is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Removed, by exact name.
    pub remove: Vec<String>,
    /// Set; of two of one name the later counts.
    pub set: Vec<(String, String)>,
}

/// What happens during a run, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The process runs. Always the first event.
    Started {
        /// [`FORMAT`].
        version: u32,
        /// Its process id.
        pid: u32,
    },
    /// The CLI told the id of its conversation.
    Session {
        /// What a later run resumes.
        id: String,
    },
    /// The agent said something; not yet its answer.
    Text {
        /// The beginning of what it said.
        text: String,
    },
    /// The agent uses a tool.
    ToolUse {
        /// The tool's name.
        name: String,
        /// The beginning of what it is used on: a command, a path.
        input: String,
    },
    /// A tool has done its work.
    ToolResult {
        /// The tool's name, where it is known.
        name: Option<String>,
        /// False when it failed.
        success: bool,
        /// The beginning of what it returned.
        text: String,
    },
    /// A call to the model failed and is tried again.
    ApiRetry {
        /// Counts from 1.
        attempt: Option<u64>,
        /// The HTTP status, if there was one.
        status: Option<u64>,
    },
    /// It is being ended from here; what it says still counts.
    Ending,
    /// The agent was not allowed to use a tool, and goes on without it.
    Denied {
        /// The tool's name.
        name: String,
    },
}
