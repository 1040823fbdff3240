//! Several dispatches at once, and what is made of their answers.

use std::sync::Arc;

use serde::Serialize;

use super::aggregate::Aggregation;
use super::aggregated::Aggregated;
use super::members::Members;
use crate::config::Config;
use crate::dispatch::listener::Listener;
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::request::{Form, Request};
use crate::dispatch::{Dispatcher, NO_AGENT, listing, plan};

/// How many dispatches a call may have, at least; more where more run at once.
const MOST: usize = 100;

/// How many rounds of dispatches that run at once a call may have beyond that.
const ROUNDS: usize = 20;

/// Several dispatches, as the caller gave them.
#[derive(Debug, Clone, Default)]
pub struct Parallel {
    /// What is asked at once.
    pub dispatches: Vec<Request>,
    /// The agent that is to put the answers together.
    pub aggregator: Option<String>,
    /// How the answers become one, by the name of a policy; absent with an aggregator it is
    /// what the config says.
    pub policy: Option<String>,
}

/// What came of several dispatches. Its JSON is that of the Python tool.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum ParallelReply<R = Reply> {
    /// The replies, in the order of the dispatches.
    Individual(Vec<R>),
    /// And what was made of them.
    Aggregated {
        /// The replies, in the order of the dispatches.
        individual_results: Vec<R>,
        /// The one answer.
        aggregated: Box<Aggregated>,
    },
}

impl<R> ParallelReply<R> {
    /// The replies, in the order of the dispatches.
    pub fn replies(&self) -> &[R] {
        match self {
            Self::Individual(replies) | Self::Aggregated { individual_results: replies, .. } => {
                replies
            }
        }
    }

    /// The one answer, where one was wanted.
    pub fn aggregated(&self) -> Option<&Aggregated> {
        match self {
            Self::Individual(_) => None,
            Self::Aggregated { aggregated, .. } => Some(aggregated),
        }
    }
}

impl Dispatcher {
    /// Serves several requests at once, and has a policy make one answer of theirs where
    /// that is wanted. One that fails fails no other. Dropping the future is leaving all.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when one of the requests cannot be served, or the aggregation cannot:
    /// then none was started. It names the request and what is wrong with it.
    pub async fn parallel(
        self: &Arc<Self>,
        call: Parallel,
        listener: &Listener,
    ) -> Result<ParallelReply, Refusal> {
        let this = Arc::clone(self);
        let checked = self.look(NO_AGENT, move || {
            let config = this.load()?;
            check(&config, &call)?;
            let wanted = Aggregation::wanted(&config, &call)?;
            Ok((call.dispatches, wanted))
        });
        let (dispatches, wanted) = checked.await?;
        let mut members = Members::new(self, listener.clone());
        let trace = self.lineage.trace();
        for request in dispatches {
            members.add(Request { form: Form::Parallel, trace: Some(trace.clone()), ..request });
        }
        if let Some(wanted) = wanted {
            return Aggregation::load(self, wanted, &trace).await?.run(members).await;
        }
        members.start(0);
        members.finish().await;
        let replies = members.into_replies().into_iter().map(|(_, reply)| reply);
        Ok(ParallelReply::Individual(replies.collect()))
    }
}

/// Says what is wrong with a call, as far as the config tells.
fn check(config: &Config, call: &Parallel) -> Result<(), Refusal> {
    let count = call.dispatches.len();
    if count == 0 {
        return Err(Refusal::new(
            "dispatches is empty: it has to be a list with at least one item",
        ));
    }
    let most = MOST.max(ROUNDS.saturating_mul(config.settings.max_concurrency as usize));
    if count > most {
        return Err(Refusal::new(format!(
            "dispatches has {count} items, and one call may have {most}"
        ))
        .with_hint(
            "Split it into several calls, or raise settings.max_concurrency: twenty times as many are allowed.",
        ));
    }
    plan::refuse_blocked(config)?;
    for (place, request) in call.dispatches.iter().enumerate() {
        if request.task.trim().is_empty() {
            return Err(Refusal::new(format!(
                "dispatches[{place}].task is blank: say what the agent should do"
            )));
        }
        listing::find(config, &request.agent)
            .map_err(|refusal| refusal.about(&format!("dispatches[{place}].agent")))?;
    }
    Ok(())
}
