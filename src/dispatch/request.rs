//! What a caller asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::jobs::Keeping;

/// The least that a caller may ask for, in seconds.
const LEAST_SECONDS: u64 = 10;

/// The most.
pub(super) const MOST_SECONDS: u64 = 7200;

/// One request to one agent, as the caller gave it. Empty texts are absent ones. That of a
/// job is written down, and read again by later versions too.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The agent's name in the config.
    pub agent: String,
    /// What it should do.
    pub task: String,
    /// Material to work with.
    pub context: String,
    /// Who asks.
    pub caller: String,
    /// What the caller is trying to reach.
    pub goal: String,
    /// How long it may take, in seconds; 0 leaves it to the config.
    pub timeout_seconds: u64,
    /// The conversation that it is part of.
    pub conversation: Conversation,
    /// Has the agent answer even where an answer to the same question is at hand.
    pub fresh: bool,
    /// Wants one JSON value and nothing else.
    pub json: bool,
    /// What it may cost, in US dollars, where that is less than the config says.
    pub spend_cap: Option<f64>,
    /// The form of the call that it is part of.
    pub form: Form,
    /// The trace of that call, where it is more than this request.
    pub trace: Option<String>,
    /// The job that it is, in the process that keeps it.
    #[serde(skip)]
    pub keeping: Option<Keeping>,
}

/// The form of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One dispatch.
    #[default]
    Dispatch,
    /// One within a conversation.
    Session,
    /// One that somebody watches.
    Stream,
    /// One of several.
    Parallel,
    /// One that an aggregate policy asked for.
    Aggregate,
    /// A turn of a dialogue.
    Dialogue,
    /// One from the command line.
    Cli,
    /// One that outlives the server that was asked for it.
    Job,
}

impl Form {
    /// The word that stands in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Session => "session",
            Self::Stream => "stream",
            Self::Parallel => "parallel",
            Self::Aggregate => "aggregate",
            Self::Dialogue => "dialogue",
            Self::Cli => "cli",
            Self::Job => "job",
        }
    }
}

/// Which conversation a request is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    /// None: a question by itself, whose answer can serve whoever asks the same.
    #[default]
    None,
    /// A new one.
    New,
    /// The one with this id goes on.
    Resume(String),
}

impl Conversation {
    /// The one with this id, or a new one where there is no id.
    pub fn from_id(id: &str) -> Self {
        match id.trim() {
            "" => Self::New,
            id => Self::Resume(id.to_owned()),
        }
    }
}

impl Request {
    /// How long the run may take, if the caller has a say in it.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let seconds = (self.timeout_seconds > 0)
            .then(|| self.timeout_seconds.clamp(LEAST_SECONDS, MOST_SECONDS));
        seconds.map(Duration::from_secs)
    }

    /// What the run may cost, where the config says this.
    pub(super) fn budget(&self, configured: Option<f64>) -> Option<f64> {
        let caps = [self.spend_cap, configured];
        caps.into_iter().flatten().reduce(f64::min)
    }

    /// The word for the answer's format that policies know.
    pub(super) fn answer_format(&self) -> &'static str {
        if self.json { "json" } else { "text" }
    }

    /// May its answer be one that was given, or is being given, to somebody else?
    pub(super) fn is_shareable(&self) -> bool {
        self.conversation == Conversation::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_timeout_is_kept_within_reason() {
        let timeout = |timeout_seconds| Request { timeout_seconds, ..Request::default() }.timeout();
        assert_eq!(timeout(0), None);
        assert_eq!(timeout(1), Some(Duration::from_secs(10)));
        assert_eq!(timeout(90), Some(Duration::from_secs(90)));
        assert_eq!(timeout(u64::MAX), Some(Duration::from_hours(2)));
    }
}
