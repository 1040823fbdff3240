//! How a run ended, in the words the rest of the house uses.

use serde::{Deserialize, Serialize};

use super::request::Refusal;

/// How a run ended. It is a success exactly when there is no `failure`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The agent's answer; on a failure what it had said last, often empty.
    pub text: String,
    /// The conversation that a later run can resume, if there is one.
    pub session_id: Option<String>,
    /// What this run cost, in US dollars, if the CLI said.
    pub cost_usd: Option<f64>,
    /// How long it took, in milliseconds, by the CLI's account where it gave one.
    pub duration_ms: Option<u64>,
    /// How many turns the agent took.
    pub turns: Option<u32>,
    /// The tokens that this run used, as far as the CLI said.
    pub tokens: Option<Tokens>,
    /// Tools it wanted and did not get, each once.
    pub denied_tools: Vec<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What the caller of a successful run should know.
    pub hint: Option<String>,
    /// Set when the run was ended from here; such a success is not a clean one.
    pub ended_by_us: Option<StopReason>,
}

/// Tokens by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read, beyond those below.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the service's cache.
    pub cache_read: u64,
    /// Read and written into that cache.
    pub cache_creation: u64,
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_creation = self.cache_creation.saturating_add(more.cache_creation);
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind, for programs.
    pub error_type: ErrorType,
    /// What happened, for people.
    pub message: String,
    /// What to do now.
    pub hint: Option<String>,
}

/// The kinds of failure a caller can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    /// The agent or its program was not allowed to do what it had to.
    Permission,
    /// It took too long.
    Timeout,
    /// Dispatches lie too deep in each other.
    Recursion,
    /// The agent, its directory or its program does not exist.
    NotFound,
    /// The spend cap was reached.
    Budget,
    /// The account's usage limit was reached.
    UsageLimit,
    /// The caller gave up.
    Cancelled,
    /// A policy failed.
    Policy,
    /// What looked after the run was killed, and the run ended with it.
    Lost,
    /// Anything else that the agent CLI reports or does.
    CliError,
}

impl ErrorType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Permission,
        Self::Timeout,
        Self::Recursion,
        Self::NotFound,
        Self::Budget,
        Self::UsageLimit,
        Self::Cancelled,
        Self::Policy,
        Self::Lost,
        Self::CliError,
    ];

    /// The word that stands in replies and in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Timeout => "timeout",
            Self::Recursion => "recursion",
            Self::NotFound => "not_found",
            Self::Budget => "budget",
            Self::UsageLimit => "usage_limit",
            Self::Cancelled => "cancelled",
            Self::Policy => "policy",
            Self::Lost => "lost",
            Self::CliError => "cli_error",
        }
    }
}

impl std::fmt::Display for ErrorType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a run was ended from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Its time was over.
    Timeout,
    /// The caller gave up.
    Cancelled,
    /// It wrote more than can be kept.
    OutputLimit,
    /// The runner died, and its runs with it.
    RunnerLost,
}

/// How the process of a run ended, as its parent saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit code {code}"),
            Self::Signal(signal) => write!(formatter, "signal {signal}"),
        }
    }
}

impl Failure {
    /// A failure without a hint.
    pub fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self { error_type, message: message.into(), hint: None }
    }

    /// The caller gave up in time.
    pub fn cancelled_before_start() -> Self {
        let message = "the dispatch was cancelled before the agent was started";
        Self::new(ErrorType::Cancelled, message)
    }

    /// The call was ended before it was complete.
    pub fn cancelled() -> Self {
        Self::new(ErrorType::Cancelled, "the call was ended before it was complete")
    }

    /// The caller gave up, and others still wait for the same run.
    pub fn cancelled_before_end() -> Self {
        let message = "the dispatch was given up; the agent works on for others who asked the same";
        Self::new(ErrorType::Cancelled, message)
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Outcome {
    /// Did the agent finish?
    pub fn success(&self) -> bool {
        self.failure.is_none()
    }

    /// Nothing ran, or nothing of it is known but why it failed.
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::failed(Failure::new(ErrorType::CliError, refusal.to_string()))
    }
}
