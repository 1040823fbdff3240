//! What came of an aggregation.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::agent::ErrorType;
use crate::dispatch::reply::{Excerpt, Reply};

/// What a policy made of the answers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Aggregated {
    /// Whose reply is the answer; absent where the policy put it together itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// True when there is an answer.
    pub success: bool,
    /// The one answer.
    pub result: Arc<String>,
    /// The session of the agent whose reply is the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// What all that the policy asked cost together, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How long the run took whose reply is the answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How many turns it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_turns: Option<u32>,
    /// Why there is no answer, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why there is none, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<ErrorType>,
    /// The answer as JSON, where its agent's prompt policy found one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parsed_result: Option<Arc<Value>>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The policy that decided.
    pub policy: String,
    /// `rounds`, `asks` or `budget`: what the policy wanted more of than it may have. The
    /// answer is the last that it got then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<&'static str>,
    /// Why the built-in policy took over from the chosen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_fallback: Option<String>,
    /// What the policy asked, in the order in which it did.
    pub steps: Vec<Step>,
    /// What of it is left out here, and how to get it.
    #[serde(flatten)]
    pub(in crate::dispatch) excerpt: Option<Excerpt>,
    /// The reply that is the answer, or in which it is kept.
    #[serde(skip)]
    pub(in crate::dispatch) whole: Option<Box<Reply>>,
}

/// One thing that a policy asked.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its number; those of the caller's dispatches come first.
    pub id: usize,
    /// 1 for what the policy asked first, then one more each time.
    pub round: u32,
    /// What the policy wrote on it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// What was asked.
    pub task: String,
    /// What came of it.
    #[serde(flatten)]
    pub reply: Reply,
}

impl Aggregated {
    /// This reply is the answer.
    pub(super) fn take(&mut self, reply: &Reply) {
        let reply = reply.clone();
        self.whole = Some(Box::new(reply.clone()));
        self.agent = Some(reply.agent);
        self.success = reply.success;
        self.result = reply.result;
        self.session_id = reply.session_id;
        self.duration_ms = reply.duration_ms;
        self.num_turns = reply.num_turns;
        self.error = reply.error;
        self.error_type = reply.error_type;
        self.parsed_result = reply.parsed_result;
        self.hint = reply.hint;
    }

    /// This text, which the policy put together, is the answer.
    pub(super) fn put_together(&mut self, text: String) {
        self.success = true;
        self.result = Arc::new(text);
        self.whole = Some(Box::new(Reply::made(&self.policy, &self.result)));
    }

    pub(super) fn fail(&mut self, error_type: ErrorType, error: String) {
        self.error = Some(error);
        self.error_type = Some(error_type);
    }
}
