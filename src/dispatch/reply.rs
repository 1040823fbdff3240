//! What a caller gets back.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::{ErrorType, Failure, Outcome, Tokens};

/// The reply to a request that was let through: the agent ran, or something kept
/// it from running. Keys and their order are those of the Python tool; absent
/// values are left out. What is written is read again by later versions too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// The agent's name.
    pub agent: String,
    /// True when the agent finished its work as far as its CLI can tell.
    pub success: bool,
    /// The agent's text; after a failure what it had said by then. Shared by all who get it.
    pub result: Arc<String>,
    /// The session of the agent CLI, with which the conversation can go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// What the run cost, in US dollars, as the agent CLI reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How long the run took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How many turns the agent took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_turns: Option<u32>,
    /// Why it failed, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it failed, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<ErrorType>,
    /// The answer as JSON, where the prompt policy found one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parsed_result: Option<Arc<Value>>,
    /// Tools that the agent wanted and was not allowed to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_tools: Vec<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// True when the run cost more than its cap: the CLI looks at the cap only
    /// between two calls of the model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub budget_exceeded: bool,
    /// `done`, `partial` or `blocked`, if the prompt policy says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What went wrong in a policy after the agent had run; the result is the
    /// agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_error: Option<String>,
    /// Why the built-in policy stood in for the chosen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_fallback: Option<String>,
    /// True when the same question was answered before and this is that answer: nothing
    /// was run or spent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// How old such an answer is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// True when the same question was being asked already, and this is the reply to
    /// that: it was run and paid for once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Why the journal misses this dispatch or others, and no answers are shared with other
    /// servers. Told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_error: Option<String>,
    /// What of it is left out here, and how to get it.
    #[serde(flatten, skip_deserializing)]
    pub(super) excerpt: Option<Excerpt>,
    /// The id of the run, where there was one; it is kept under that where it is kept.
    #[serde(skip)]
    pub(super) run: Option<String>,
    /// The tokens that the run used, for the journal.
    #[serde(skip)]
    pub(super) tokens: Option<Tokens>,
    /// The run was ended from here.
    #[serde(skip)]
    ended_by_us: bool,
}

/// What stands beside a text of which something was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Excerpt {
    r#ref: String,
    /// Of the whole text, in bytes.
    size: usize,
    truncated: bool,
    /// Of what the prompt policy found in it, where that is left out; in bytes of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed_result_size: Option<usize>,
}

impl Excerpt {
    /// Of a text of so many bytes that is kept under this id.
    pub(super) fn of(id: String, size: usize) -> Self {
        Self { r#ref: id, size, truncated: true, parsed_result_size: None }
    }

    /// What the prompt policy found is left out, too, where it has a size.
    pub(super) fn add_parsed(&mut self, size: Option<usize>) {
        self.parsed_result_size = self.parsed_result_size.or(size);
    }
}

/// The same amount to four decimals, as it is shown. The sum of no amounts is -0.0, which
/// nobody would take for money.
pub(super) fn shown_usd(amount: f64) -> f64 {
    (amount * 10_000.0).round() / 10_000.0 + 0.0
}

/// Outcomes after which a second attempt may do better.
const UNFINISHED: [&str; 2] = ["partial", "blocked"];

impl Reply {
    /// The reply about an agent that was run.
    pub(super) fn of(agent: &str, outcome: Outcome, cap: Option<f64>) -> Self {
        let success = outcome.success();
        let (error, error_type, hint) = match outcome.failure {
            Some(failure) => (Some(failure.message), Some(failure.error_type), failure.hint),
            None => (None, None, outcome.hint),
        };
        let exceeded = matches!((outcome.cost_usd, cap), (Some(cost), Some(cap)) if cost > cap);
        Self {
            agent: agent.to_owned(),
            success,
            result: Arc::new(outcome.text),
            session_id: outcome.session_id,
            cost_usd: outcome.cost_usd,
            duration_ms: outcome.duration_ms,
            num_turns: outcome.turns,
            error,
            error_type,
            parsed_result: None,
            denied_tools: outcome.denied_tools,
            hint,
            budget_exceeded: exceeded,
            outcome: None,
            policy_error: None,
            policy_fallback: None,
            cached: false,
            age_seconds: None,
            shared: false,
            store_error: None,
            excerpt: None,
            run: None,
            tokens: outcome.tokens,
            ended_by_us: outcome.ended_by_us.is_some(),
        }
    }

    /// A reply about an agent that never ran.
    pub(super) fn not_run(agent: &str, failure: Failure) -> Self {
        Self::of(agent, Outcome::failed(failure), None)
    }

    /// The reply of the run with this id.
    pub(super) fn of_run(mut self, id: &str) -> Self {
        self.run = Some(id.to_owned());
        self
    }

    /// The reply in which a text is kept that was put together from others.
    pub(super) fn made(by: &str, text: &Arc<String>) -> Self {
        let run = Some(uuid::Uuid::new_v4().simple().to_string());
        Self { result: Arc::clone(text), run, ..Self::of(by, Outcome::default(), None) }
    }

    /// The reply about one of several dispatches that could not be served at all.
    pub(super) fn refused(agent: &str, refusal: &Refusal) -> Self {
        let failure = Failure::new(ErrorType::CliError, &refusal.message);
        Self { hint: refusal.hint.clone(), ..Self::not_run(agent, failure) }
    }

    /// Was an agent run for it, whether or not anybody knows at what cost?
    pub(super) fn was_run(&self) -> bool {
        self.duration_ms.is_some()
    }

    /// May this be the answer to the same question asked again?
    pub(super) fn is_clean(&self) -> bool {
        let unfinished =
            self.outcome.as_deref().is_some_and(|outcome| UNFINISHED.contains(&outcome));
        self.success
            && !unfinished
            && !self.ended_by_us
            && !self.budget_exceeded
            && self.denied_tools.is_empty()
            && self.policy_error.is_none()
            && self.policy_fallback.is_none()
    }

    /// The same as an answer that was kept for so long.
    #[must_use]
    pub(super) fn kept_for(self, age: Duration) -> Self {
        Self { cached: true, age_seconds: Some(age.as_secs()), ..self }
    }

    /// The same as the first got it who asked.
    #[must_use]
    pub(super) fn as_first_given(&self) -> Self {
        Self {
            cached: false,
            age_seconds: None,
            shared: false,
            store_error: None,
            excerpt: None,
            ..self.clone()
        }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.hint, &self.outcome, &self.session_id];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        // JSON that was read takes several times its text.
        let parsed = self.parsed_result.as_ref().map_or(0, |parsed| 8 * parsed.to_string().len());
        size_of::<Self>() + self.agent.len() + self.result.len() + texts + parsed
    }

    /// Adds a sentence to the hint.
    pub(super) fn add_hint(&mut self, hint: &str) {
        match &mut self.hint {
            Some(present) => {
                present.push(' ');
                present.push_str(hint);
            }
            None => self.hint = Some(hint.to_owned()),
        }
    }
}

/// The call itself cannot be served: nothing was started, and there is no agent
/// to reply for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// With one sentence more on what to do about it.
    #[must_use]
    pub(super) fn with_more_advice(self, advice: &str) -> Self {
        let hint = self.hint.as_deref().map_or(String::new(), |hint| format!("{hint} "));
        self.with_hint(hint + advice)
    }

    /// The same about this part of the call.
    #[must_use]
    pub(super) fn about(mut self, part: &str) -> Self {
        self.message = format!("{part}: {}", self.message);
        self
    }

    /// With a sentence on what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_was_written_down_is_read_again() {
        let outcome = Outcome {
            text: "answer".to_owned(),
            cost_usd: Some(0.5),
            denied_tools: vec!["Bash".to_owned()],
            ..Outcome::default()
        };
        let reply =
            Reply { parsed_result: Some(Arc::new(1.into())), ..Reply::of("a", outcome, Some(0.1)) };
        let written = serde_json::to_string(&reply).expect("JSON");
        let read: Reply = serde_json::from_str(&written).expect("a reply");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), written);
        assert!(read.budget_exceeded && *read.result == "answer");
        let least: Reply =
            serde_json::from_str(r#"{"agent":"a","success":true,"result":""}"#).expect("a reply");
        assert!(least.is_clean());
    }
}
