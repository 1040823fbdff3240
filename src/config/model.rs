//! The config as the rest of the program sees it, defaults included.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::LookupError;
use super::named::Named;
use super::problem::{Problem, ProblemKind};

/// Everything `agents.yaml` says.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// The agents, and the problem of each entry that is wrong.
    pub agents: Named<Result<Agent, Problem>>,
    /// The policies of the file, and the problem of each entry that is wrong.
    pub policies: Named<Result<PolicyEntry, Problem>>,
    /// What applies to all agents.
    pub settings: Settings,
    /// Everything that is wrong with the file, in its order.
    pub problems: Vec<Problem>,
}

/// A project directory that can be dispatched to. `None` inherits from [`Settings`];
/// [`Config`] gives the values that apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// The project, an absolute path; it may not exist.
    pub directory: PathBuf,
    /// What it is good for.
    pub description: String,
    /// How long a dispatch may take, in seconds, at least 1.
    pub timeout_seconds: Option<u32>,
    /// What a dispatch may cost, in US dollars, more than 0.
    pub max_budget_usd: Option<f64>,
    /// The model to ask for.
    pub model: Option<String>,
    /// The permission mode to run in.
    pub permission_mode: Option<String>,
    /// The tools it may use without being asked; `Some([])` is none.
    pub allowed_tools: Option<Vec<String>>,
    /// The tools it must not use; `Some([])` is none.
    pub disallowed_tools: Option<Vec<String>>,
    /// The program that is run and its first arguments; never empty.
    pub command: Option<Vec<String>>,
    /// Start no MCP servers of its project, only those the CLI is told of.
    pub strict_mcp: bool,
    /// Which settings files the CLI reads; `None` leaves it to the CLI.
    pub setting_sources: Option<Vec<String>>,
    /// The CLI may go on with tasks in the background after it has answered.
    pub background_tasks: bool,
    /// What it leaves running after a normal end stays.
    pub keep_background: bool,
    /// Which of its answers may be given again to the same question.
    pub cache: AgentCache,
    /// The policies it chooses.
    pub policies: AgentPolicies,
}

/// Which of an agent's answers are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentCache {
    /// Whether any is.
    pub enabled: bool,
    /// Whether to others than this process too; `None` is what the settings say.
    pub shared: Option<bool>,
}

impl Default for AgentCache {
    fn default() -> Self {
        Self { enabled: true, shared: None }
    }
}

/// The policies that an agent can choose, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentPolicies {
    /// How its prompts read.
    pub prompt: Option<String>,
    /// How it describes itself.
    pub describe: Option<String>,
}

/// What applies to all agents.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long a dispatch may take, in seconds, at least 1.
    pub default_timeout: u32,
    /// What a dispatch may cost, in US dollars, more than 0; `None` is no limit.
    pub default_max_budget_usd: Option<f64>,
    /// The permission mode to run in; `None` leaves it to the agent CLI.
    pub default_permission_mode: Option<String>,
    /// The tools that agents may use without being asked.
    pub default_allowed_tools: Vec<String>,
    /// The tools that agents must not use.
    pub default_disallowed_tools: Vec<String>,
    /// How deep dispatches may nest, at least 1.
    pub max_dispatch_depth: u32,
    /// How many dispatches may run at once on one level, at least 1.
    pub max_concurrency: u32,
    /// How many jobs may wait for their turn at once, at least 1.
    pub max_queued_jobs: u32,
    /// Clients may add directories in these only, absolute paths; `None` is anywhere.
    pub agent_roots: Option<Vec<PathBuf>>,
    /// What an aggregate policy may use up.
    pub aggregate: AggregateSettings,
    /// The program that is run and its first arguments; never empty.
    pub command: Vec<String>,
    /// Which answers are given again.
    pub cache: CacheSettings,
    /// For how many days the journal keeps its records, and jobs that are over are kept; 0 is
    /// as long as there is room.
    pub job_retention_days: u32,
    /// Keep what policies are given and decide.
    pub record_policies: bool,
    /// After how many seconds a dispatch becomes a task for a client that can have one; never
    /// where there is none.
    pub task_after_seconds: Option<u32>,
    /// How long a tool's answer may be, in bytes of JSON; beyond, replies go out as previews.
    /// 0 is any length.
    pub inline_limit: u32,
    /// The policies of those who choose none.
    pub policies: PolicyNames,
    /// Limits of policies that differ from the built-in ones.
    pub policy_limits: LimitOverrides,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_timeout: 300,
            default_max_budget_usd: None,
            default_permission_mode: None,
            default_allowed_tools: Vec::new(),
            default_disallowed_tools: Vec::new(),
            max_dispatch_depth: 3,
            max_concurrency: 5,
            max_queued_jobs: 200,
            agent_roots: None,
            aggregate: AggregateSettings::default(),
            command: vec!["claude".to_owned()],
            cache: CacheSettings::default(),
            job_retention_days: 0,
            record_policies: false,
            task_after_seconds: Some(20),
            inline_limit: 40 << 10,
            policies: PolicyNames::default(),
            policy_limits: LimitOverrides::default(),
        }
    }
}

/// What an aggregate policy may use up in one call, on top of what the caller asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AggregateSettings {
    /// How often it may ask.
    pub max_rounds: u32,
    /// How many dispatches it may ask for in all.
    pub max_asks: u32,
    /// What these may cost together, in US dollars, more than 0; `None` is no limit.
    pub budget_usd: Option<f64>,
}

impl Default for AggregateSettings {
    fn default() -> Self {
        Self { max_rounds: 3, max_asks: 20, budget_usd: None }
    }
}

/// The cache of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Whether answers are given again at all.
    pub enabled: bool,
    /// For how long, in seconds; 0 is not at all.
    pub ttl: u32,
    /// How many are kept, at least 1.
    pub max_size: u32,
    /// Whether all servers and commands of the user give each other's answers, also after a
    /// restart.
    pub shared: bool,
}

impl CacheSettings {
    /// Whether an answer can ever be given again.
    pub fn is_on(&self) -> bool {
        self.enabled && self.ttl > 0
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { enabled: true, ttl: 300, max_size: 1000, shared: false }
    }
}

/// One policy of each kind, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyNames {
    /// How prompts read.
    pub prompt: String,
    /// How projects describe themselves.
    pub describe: String,
    /// How many answers become one.
    pub aggregate: String,
    /// When a dialogue is over.
    pub dialogue: String,
}

impl Default for PolicyNames {
    fn default() -> Self {
        Self {
            prompt: "classic".to_owned(),
            describe: "classic".to_owned(),
            aggregate: "synthesize".to_owned(),
            dialogue: "resolved".to_owned(),
        }
    }
}

/// A policy that the file names.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyEntry {
    /// The component, an absolute path; it may not exist. `None` is the built-in one of
    /// that name.
    pub component: Option<PathBuf>,
    /// What the policy is configured with, for it alone to judge.
    pub config: serde_json::Value,
    /// The limits of its calls that differ from those in [`Settings::policy_limits`].
    pub limits: LimitOverrides,
    /// What follows when it fails.
    pub on_error: OnError,
    /// The agents it may ask besides those of the call.
    pub may_ask: Vec<String>,
}

/// What follows when a policy fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// The call fails.
    #[default]
    Fail,
    /// The built-in default policy of that kind decides instead.
    Fallback,
}

/// Limits on every call of a policy, where they are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitOverrides {
    /// Time, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// Linear memory, in MiB.
    pub memory_mib: Option<u32>,
    /// Texts going in, in MiB.
    pub input_mib: Option<u32>,
    /// Texts coming out, in MiB.
    pub output_mib: Option<u32>,
    /// What it may log, in KiB.
    pub log_kib: Option<u32>,
}

impl LimitOverrides {
    /// These limits, and those of `other` where these are not set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            timeout_ms: self.timeout_ms.or(other.timeout_ms),
            memory_mib: self.memory_mib.or(other.memory_mib),
            input_mib: self.input_mib.or(other.input_mib),
            output_mib: self.output_mib.or(other.output_mib),
            log_kib: self.log_kib.or(other.log_kib),
        }
    }
}

impl Config {
    /// What holds where there is no file.
    pub fn empty(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            agents: Named::default(),
            policies: Named::default(),
            settings: Settings::default(),
            problems: Vec::new(),
        }
    }

    /// The agent of that name.
    pub fn agent(&self, name: &str) -> Result<&Agent, LookupError> {
        match self.agents.get(name) {
            Some(Ok(agent)) => Ok(agent),
            Some(Err(problem)) => Err(LookupError::Disabled {
                name: name.to_owned(),
                problem: Box::new(problem.clone()),
            }),
            None => Err(LookupError::Unknown {
                name: name.to_owned(),
                available: self.usable_agents().map(|agent| agent.name.clone()).collect(),
            }),
        }
    }

    /// The agents that can be dispatched to, in the order of the file.
    pub fn usable_agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.iter().filter_map(|(_, agent)| agent.as_ref().ok())
    }

    /// The policy of that name, or its problem. `None` is a name that the file does
    /// not define: it may be a built-in one.
    pub fn policy(&self, name: &str) -> Option<Result<&PolicyEntry, &Problem>> {
        self.policies.get(name).map(Result::as_ref)
    }

    /// Why nothing may be dispatched, if a bound on it is unknown.
    pub fn dispatching_blocked(&self) -> Option<&Problem> {
        let mut problems = self.problems.iter();
        problems.find(|problem| problem.kind == ProblemKind::StopsDispatching)
    }

    /// How long a dispatch to this agent may take.
    pub fn timeout(&self, agent: &Agent) -> Duration {
        let seconds = agent.timeout_seconds.unwrap_or(self.settings.default_timeout);
        Duration::from_secs(seconds.into())
    }

    /// What a dispatch to this agent may cost, in US dollars.
    pub fn budget(&self, agent: &Agent) -> Option<f64> {
        agent.max_budget_usd.or(self.settings.default_max_budget_usd)
    }

    /// Which answers of this agent are given again.
    pub fn cache(&self, agent: &Agent) -> CacheSettings {
        let settings = self.settings.cache;
        CacheSettings {
            enabled: settings.enabled && agent.cache.enabled,
            shared: agent.cache.shared.unwrap_or(settings.shared),
            ..settings
        }
    }

    /// Is there anything whose answers are shared by all servers?
    pub fn shares_answers(&self) -> bool {
        let agents = self.agents.iter().filter_map(|(_, agent)| agent.as_ref().ok());
        self.settings.cache.shared || agents.into_iter().any(|agent| self.cache(agent).shared)
    }

    /// The permission mode this agent runs in, if one is set.
    pub fn permission_mode<'a>(&'a self, agent: &'a Agent) -> Option<&'a str> {
        let own = agent.permission_mode.as_deref();
        own.or(self.settings.default_permission_mode.as_deref())
    }

    /// The tools this agent may use without being asked.
    pub fn allowed_tools<'a>(&'a self, agent: &'a Agent) -> &'a [String] {
        let own = agent.allowed_tools.as_deref();
        own.unwrap_or(&self.settings.default_allowed_tools)
    }

    /// The tools this agent must not use.
    pub fn disallowed_tools<'a>(&'a self, agent: &'a Agent) -> &'a [String] {
        let own = agent.disallowed_tools.as_deref();
        own.unwrap_or(&self.settings.default_disallowed_tools)
    }

    /// The program that runs this agent and its first arguments; never empty.
    pub fn command<'a>(&'a self, agent: &'a Agent) -> &'a [String] {
        agent.command.as_deref().unwrap_or(&self.settings.command)
    }

    /// The name of this agent's prompt policy.
    pub fn prompt_policy<'a>(&'a self, agent: &'a Agent) -> &'a str {
        let own = agent.policies.prompt.as_deref();
        own.unwrap_or(&self.settings.policies.prompt)
    }

    /// The name of this agent's describe policy.
    pub fn describe_policy<'a>(&'a self, agent: &'a Agent) -> &'a str {
        let own = agent.policies.describe.as_deref();
        own.unwrap_or(&self.settings.policies.describe)
    }

    /// The limits of a policy's calls, where they are set.
    pub fn limits(&self, policy: &PolicyEntry) -> LimitOverrides {
        policy.limits.or(self.settings.policy_limits)
    }
}
