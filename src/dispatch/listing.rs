//! Which agents there are, and whether they could be asked now.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::reply::Refusal;
use super::{Dispatcher, NO_AGENT, choice};
use crate::config::{Agent, Config, LookupError, Problem};
use crate::policy::{describe, prompt};
use crate::store::usage::Typical;

/// All agents of the config, in its order, and what is wrong with the config.
#[derive(Debug)]
pub struct Listing {
    /// One entry an agent.
    pub agents: Vec<AgentEntry>,
    /// What the config's owner should know.
    pub problems: Vec<Problem>,
    /// The config file.
    pub file: PathBuf,
}

/// One agent, with the keys of the Python tool.
#[derive(Debug, Serialize)]
pub struct AgentEntry {
    /// Its name.
    pub name: String,
    /// Its directory, absolute; empty where the config's entry is unusable.
    pub directory: String,
    /// What it is for.
    pub description: String,
    /// Whether its directory is there.
    pub healthy: Health,
    /// Whether the project has a `CLAUDE.md`.
    pub has_claude_md: bool,
    /// Whether the project configures MCP servers.
    pub has_mcp_config: bool,
    /// The permission mode it runs in, where it sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<String>,
    /// The tools it may use without being asked, where it sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// The tools it must not use, where it sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disallowed_tools: Option<Vec<String>>,
    /// The prompt policy, where the agent chooses its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_policy: Option<String>,
    /// What is to be expected of it, where it has been asked often enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical: Option<Typical>,
    /// What is wrong with it and keeps nobody from asking it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Why it cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether an agent's directory is there: `true`, `false` or `"UNREADABLE"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is a directory.
    Healthy,
    /// It is not.
    Missing,
    /// It cannot be looked at.
    Unreadable,
}

impl Serialize for Health {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Healthy => serializer.serialize_bool(true),
            Self::Missing => serializer.serialize_bool(false),
            Self::Unreadable => serializer.serialize_str("UNREADABLE"),
        }
    }
}

impl Dispatcher {
    /// Whom one can ask.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config cannot be read.
    pub async fn list(self: &Arc<Self>) -> Result<Listing, Refusal> {
        let this = Arc::clone(self);
        let listing = self.look(NO_AGENT, move || Ok(Listing::of(&*this.load()?)));
        let (listing, typical) = tokio::join!(listing, self.journal.typical());
        let mut listing = listing?;
        listing.add(&typical);
        Ok(listing)
    }
}

impl Listing {
    /// Looks at every agent's directory. Blocks on the file system.
    pub(super) fn of(config: &Config) -> Self {
        let agents = config
            .agents
            .iter()
            .map(|(name, agent)| match agent {
                Ok(agent) => entry(config, agent),
                Err(problem) => unusable(name, problem),
            })
            .collect();
        Self { agents, problems: config.problems.clone(), file: config.file.clone() }
    }

    /// Adds what is typical of the agents.
    pub(super) fn add(&mut self, typical: &HashMap<String, Typical>) {
        for agent in &mut self.agents {
            agent.typical = typical.get(&agent.name).copied();
        }
    }

    /// What to say when there is no agent. Looks at the file system.
    pub fn nothing_configured(&self) -> Refusal {
        Refusal::new("No agents are configured.").with_hint(how_to_begin(&self.file))
    }
}

/// The agent of that name.
pub(super) fn find<'c>(config: &'c Config, name: &str) -> Result<&'c Agent, Refusal> {
    config.agent(name).map_err(|error| {
        let refusal = Refusal::new(error.to_string());
        match error {
            LookupError::Unknown { .. } if config.agents.is_empty() => {
                refusal.with_hint(how_to_begin(&config.file))
            }
            LookupError::Unknown { .. } => refusal,
            LookupError::Disabled { .. } => refusal
                .with_hint("Correct the entry in the config file; it is read again on every call."),
        }
    })
}

/// What to do where there is no agent yet.
fn how_to_begin(file: &Path) -> String {
    let state = if file.exists() { "names none" } else { "does not exist" };
    format!("{} {state}: add one with 'agent-dispatch add NAME DIRECTORY'.", file.display())
}

fn entry(config: &Config, agent: &Agent) -> AgentEntry {
    let directory = &agent.directory;
    let health = health(directory);
    AgentEntry {
        name: agent.name.clone(),
        directory: directory.display().to_string(),
        description: agent.description.clone(),
        healthy: health,
        has_claude_md: directory.join("CLAUDE.md").is_file(),
        has_mcp_config: directory.join(".mcp.json").is_file()
            || directory.join(".claude/settings.local.json").is_file(),
        permission_mode: agent.permission_mode.clone(),
        allowed_tools: agent.allowed_tools.clone(),
        disallowed_tools: agent.disallowed_tools.clone(),
        prompt_policy: agent.policies.prompt.clone(),
        typical: None,
        warning: choice::visible_problem(config, describe::KIND, config.describe_policy(agent)),
        error: problem_of(directory, health).or_else(|| {
            let blocked = config.dispatching_blocked().map(ToString::to_string);
            blocked.or_else(|| {
                choice::visible_problem(config, prompt::KIND, config.prompt_policy(agent))
            })
        }),
    }
}

/// Refuses an agent whose directory cannot be used.
pub(super) fn refuse_missing(agent: &Agent) -> Result<(), Refusal> {
    match problem_of(&agent.directory, health(&agent.directory)) {
        None => Ok(()),
        Some(problem) => Err(Refusal::new(format!("agent '{}': {problem}", agent.name))
            .with_hint("Correct its `directory` in the config file, or make it.")),
    }
}

/// What is wrong with an agent's directory.
fn problem_of(directory: &Path, health: Health) -> Option<String> {
    let shown = directory.display();
    match health {
        Health::Healthy => None,
        Health::Missing if directory.exists() => Some(format!("{shown} is not a directory")),
        Health::Missing => Some(format!("{shown} does not exist")),
        Health::Unreadable => Some(format!("{shown} cannot be read")),
    }
}

fn unusable(name: &str, problem: &Problem) -> AgentEntry {
    AgentEntry {
        name: name.to_owned(),
        directory: String::new(),
        description: String::new(),
        healthy: Health::Missing,
        has_claude_md: false,
        has_mcp_config: false,
        permission_mode: None,
        allowed_tools: None,
        disallowed_tools: None,
        prompt_policy: None,
        typical: None,
        warning: None,
        error: Some(problem.to_string()),
    }
}

fn health(directory: &Path) -> Health {
    match directory.metadata() {
        Ok(metadata) if metadata.is_dir() => Health::Healthy,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Health::Unreadable,
        _ => Health::Missing,
    }
}
