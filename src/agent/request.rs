//! What the core asks for: one run of an agent, in no CLI's own words.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// One run of an agent. Written as JSON it holds all that decides about the answer,
/// and none of the ids: two requests that read the same ask the same.
#[derive(Debug, Clone, Serialize)]
pub struct RunRequest {
    /// The run's id, unique and without `/`: it marks the processes of the run.
    #[serde(skip)]
    pub run: String,
    /// The agent's project directory; the process starts there.
    pub directory: PathBuf,
    /// What the agent is given to read.
    pub prompt: String,
    /// Text added to the agent's system prompt.
    pub system: Option<String>,
    /// A new conversation, or which one goes on.
    #[serde(skip)]
    pub session: Session,
    /// The model's name or alias; the CLI's default where absent.
    pub model: Option<String>,
    /// How the CLI decides about tools; its default where absent.
    pub permission_mode: Option<String>,
    /// Tools that need no permission; empty: none.
    pub allowed_tools: Vec<String>,
    /// Tools that are refused; empty: none.
    pub disallowed_tools: Vec<String>,
    /// No MCP servers of the project or the user.
    pub strict_mcp: bool,
    /// The settings files that the CLI reads; its own choice where absent.
    pub setting_sources: Option<Vec<String>>,
    /// The CLI may go on with tasks in the background after its answer.
    pub background_tasks: bool,
    /// At about this spend, in US dollars, the CLI ends the run.
    pub max_budget_usd: Option<f64>,
    /// After this time the run is ended.
    pub timeout: Duration,
    /// The program and its leading arguments; only the config ever names it.
    pub command: Vec<String>,
    /// Variables set for the process, on top of the server's own environment.
    pub environment: Vec<(String, String)>,
    /// Variables set for the process that tell it which run it is part of.
    #[serde(skip)]
    pub ids: Vec<(String, String)>,
    /// What the agent leaves running at its normal end stays. At a timeout or a
    /// cancel, and where the server ends while the run is on, all of it is ended.
    pub keep_background: bool,
    /// The file that takes what the agent CLI writes, where that is to outlive this
    /// process. It must not be there yet.
    #[serde(skip)]
    pub spool: Option<PathBuf>,
}

/// The conversation a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// A new one under this id (a UUID), known before the run starts.
    New(String),
    /// The one with this id goes on.
    Resume(String),
}

impl Session {
    /// The conversation's id.
    pub fn id(&self) -> &str {
        match self {
            Self::New(id) | Self::Resume(id) => id,
        }
    }
}

/// Why a request cannot become a run. Nothing was started and nothing spent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A value that the CLI would read as a flag.
    #[error("{field} {value:?} begins with `-`, and the agent CLI would read it as a flag")]
    Flag {
        /// Which value of the request.
        field: &'static str,
        /// What it was.
        value: String,
    },
    /// A value that no command line can carry.
    #[error("{field} holds a NUL character, which no command line can carry")]
    Nul {
        /// Which value of the request.
        field: &'static str,
    },
    /// A value that is too long.
    #[error("{field} has {size} bytes, and the bound is {bound}")]
    TooLong {
        /// Which value of the request.
        field: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The most that is possible, in bytes.
        bound: usize,
    },
    /// A budget that is no amount of money.
    #[error("max_budget_usd is {0}; it must be a number above 0")]
    Budget(String),
    /// There is nothing to say to the agent.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// There is no program to run.
    #[error("`command` is empty; its first entry is the program to run")]
    NoCommand,
}
