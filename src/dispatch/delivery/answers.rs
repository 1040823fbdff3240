//! The answers that go out, and in each of them the places where something long can stand.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::agent::ErrorType;
use crate::dispatch::Job;
use crate::dispatch::forms::{Aggregated, DialogueReply, ParallelReply};
use crate::dispatch::reply::{Excerpt, Reply};

/// One reply as its caller wants it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Delivered {
    /// Itself, or as much of it as fits.
    Reply(Box<Reply>),
    /// A reference to it.
    Reference(Box<Reference>),
}

/// A reply that is kept, and its beginning. Keys and their order are those of the Python tool,
/// and then our own.
#[derive(Debug, Clone, Serialize)]
pub struct Reference {
    r#ref: String,
    agent: String,
    success: bool,
    /// Of the result, in bytes.
    size: usize,
    /// Of the summary, in characters.
    summary_chars: usize,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_turns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<ErrorType>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denied_tools: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed_result: Option<Arc<Value>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    budget_exceeded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_fallback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed_result_size: Option<usize>,
    /// The reply itself.
    #[serde(skip)]
    whole: Reply,
}

impl Reference {
    /// The reference to a reply that is kept under this id, with so many characters of it.
    pub(super) fn to(reply: Reply, id: String, summary_chars: usize) -> Self {
        let whole = reply.clone();
        let summary: String = reply.result.chars().take(summary_chars).collect();
        Self {
            r#ref: id,
            agent: reply.agent,
            success: reply.success,
            size: reply.result.len(),
            summary_chars: summary.chars().count(),
            summary,
            session_id: reply.session_id,
            cost_usd: reply.cost_usd,
            duration_ms: reply.duration_ms,
            num_turns: reply.num_turns,
            error: reply.error,
            error_type: reply.error_type,
            denied_tools: reply.denied_tools,
            outcome: reply.outcome,
            hint: reply.hint,
            parsed_result: reply.parsed_result,
            cached: reply.cached,
            age_seconds: reply.age_seconds,
            shared: reply.shared,
            budget_exceeded: reply.budget_exceeded,
            policy_error: reply.policy_error,
            policy_fallback: reply.policy_fallback,
            store_error: reply.store_error,
            parsed_result_size: None,
            whole,
        }
    }
}

/// An answer that may be too long to go out whole.
pub(super) trait Answer: Serialize + Clone {
    /// The replies whose texts stand in it, whole, each with the id under which it can be
    /// kept. Cheap: texts are shared.
    fn replies(&self) -> Vec<Reply>;

    /// Where these stand in it, in the same order.
    fn places(&mut self) -> Vec<Place<'_>>;

    /// Where it says what is wrong with the store.
    fn store_error(&mut self) -> Option<&mut Option<String>>;
}

/// Where in an answer a reply stands.
pub(super) struct Place<'a> {
    pub(super) text: Option<&'a mut Arc<String>>,
    pub(super) parsed: Option<&'a mut Option<Arc<Value>>>,
    pub(super) mark: Mark<'a>,
}

/// Where it is marked that something was cut.
pub(super) enum Mark<'a> {
    Excerpt(&'a mut Option<Excerpt>),
    /// The reference stands there anyway.
    Parsed(&'a mut Option<usize>),
}

impl Reply {
    fn place(&mut self) -> Place<'_> {
        Place {
            text: Some(&mut self.result),
            parsed: Some(&mut self.parsed_result),
            mark: Mark::Excerpt(&mut self.excerpt),
        }
    }
}

impl Answer for Delivered {
    fn replies(&self) -> Vec<Reply> {
        vec![match self {
            Self::Reply(reply) => Reply::clone(reply),
            Self::Reference(reference) => reference.whole.clone(),
        }]
    }

    fn places(&mut self) -> Vec<Place<'_>> {
        vec![match self {
            Self::Reply(reply) => reply.place(),
            Self::Reference(reference) => Place {
                text: None,
                parsed: Some(&mut reference.parsed_result),
                mark: Mark::Parsed(&mut reference.parsed_result_size),
            },
        }]
    }

    fn store_error(&mut self) -> Option<&mut Option<String>> {
        Some(match self {
            Self::Reply(reply) => &mut reply.store_error,
            Self::Reference(reference) => &mut reference.store_error,
        })
    }
}

impl Answer for Job {
    fn replies(&self) -> Vec<Reply> {
        self.result.iter().cloned().collect()
    }

    fn places(&mut self) -> Vec<Place<'_>> {
        self.result.iter_mut().map(Reply::place).collect()
    }

    fn store_error(&mut self) -> Option<&mut Option<String>> {
        self.result.as_mut().map(|reply| &mut reply.store_error)
    }
}

impl Aggregated {
    fn replies(&self) -> impl Iterator<Item = Reply> {
        let steps = self.steps.iter().map(|step| step.reply.clone());
        self.whole.as_deref().cloned().into_iter().chain(steps)
    }

    fn places(&mut self) -> impl Iterator<Item = Place<'_>> {
        let own = self.whole.is_some().then_some(Place {
            text: Some(&mut self.result),
            parsed: Some(&mut self.parsed_result),
            mark: Mark::Excerpt(&mut self.excerpt),
        });
        own.into_iter().chain(self.steps.iter_mut().map(|step| step.reply.place()))
    }
}

impl Answer for ParallelReply<Delivered> {
    fn replies(&self) -> Vec<Reply> {
        let individual = self.replies().iter().flat_map(Answer::replies);
        let aggregated = self.aggregated().into_iter().flat_map(Aggregated::replies);
        individual.chain(aggregated).collect()
    }

    fn places(&mut self) -> Vec<Place<'_>> {
        let (individual, aggregated) = match self {
            Self::Individual(replies) => (replies, None),
            Self::Aggregated { individual_results, aggregated } => {
                (individual_results, Some(aggregated))
            }
        };
        let individual = individual.iter_mut().flat_map(Answer::places);
        individual.chain(aggregated.into_iter().flat_map(|one| one.places())).collect()
    }

    fn store_error(&mut self) -> Option<&mut Option<String>> {
        let (Self::Individual(replies) | Self::Aggregated { individual_results: replies, .. }) =
            self;
        replies.first_mut()?.store_error()
    }
}

impl Answer for DialogueReply {
    fn replies(&self) -> Vec<Reply> {
        let turns = self.conversation.iter().map(|spoken| spoken.whole.clone());
        turns.chain([self.whole.clone()]).collect()
    }

    fn places(&mut self) -> Vec<Place<'_>> {
        let turns = self.conversation.iter_mut().map(|spoken| Place {
            text: Some(&mut spoken.message),
            parsed: None,
            mark: Mark::Excerpt(&mut spoken.excerpt),
        });
        let answer = Place {
            text: Some(&mut self.final_answer),
            parsed: None,
            mark: Mark::Excerpt(&mut self.excerpt),
        };
        turns.chain([answer]).collect()
    }

    fn store_error(&mut self) -> Option<&mut Option<String>> {
        Some(&mut self.store_error)
    }
}
