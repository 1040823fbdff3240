//! What the kinds have in common that are asked again and again what happens next.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bindings::agent_dispatch::policy::types::Piece;
use super::error::{Failure, PolicyError};
use super::host::Host;
use super::limits::mebibytes;
use super::pieces;
use super::ready::{Ready, Returned};
use super::source::Source;
use super::versions::Call;
use super::witness::Witness;

/// Such a kind: what crosses into the sandbox and back.
pub(crate) trait Kind: Send + Sync + 'static {
    /// The kind's name.
    const NAME: &'static str;
    /// All that has happened so far.
    type Situation<'a>: Situation<Kind = Self> + Send + Sync;
    /// The same as far as it fits into the sandbox.
    type Seen: Serialize + DeserializeOwned + Send + 'static;
    /// What happens next.
    type Decision: Serialize + Send + 'static;

    /// Asks a fresh instance what happens next.
    fn step(call: &mut Call<'_>, seen: &Self::Seen) -> Returned<Self::Decision>;
}

/// All that has happened so far, as the host keeps it.
pub(crate) trait Situation {
    /// Whose it is.
    type Kind: Kind;

    /// What the policy gets to see, cut to so many bytes of text.
    fn fit(&self, limit: usize) -> <Self::Kind as Kind>::Seen;

    /// What is wrong with a decision in this situation.
    fn problem(&self, decision: &<Self::Kind as Kind>::Decision) -> Option<String>;

    /// The full text of a reply, as far as there is one.
    fn text(&self, number: u32) -> &str;
}

/// A policy of such a kind that is loaded and whose config it has accepted.
pub(crate) struct Stepper<K> {
    ready: Ready,
    kind: PhantomData<K>,
}

impl<K: Kind> Stepper<K> {
    /// Loads a policy and has it check its config.
    pub(crate) async fn load(host: &Arc<Host>, source: &Source) -> Result<Self, PolicyError> {
        let ready = Ready::load(host, source, K::NAME).await?;
        Ok(Self { ready, kind: PhantomData })
    }

    /// The policy's name and, in brackets, which component it is.
    pub(crate) fn title(&self) -> String {
        self.ready.title()
    }

    /// Asks what happens next. A decision that does not fit the situation is an error.
    pub(crate) async fn step(
        &self,
        situation: &K::Situation<'_>,
    ) -> Result<K::Decision, PolicyError> {
        let seen = situation.fit(mebibytes(self.ready.limits.input_mib));
        let decision = self.step_seen(seen).await?;
        match situation.problem(&decision) {
            None => Ok(decision),
            Some(problem) => Err(self.ready.error(Failure::BadDecision(problem))),
        }
    }

    /// Asks what happens next in a situation as a policy sees it. Whether the decision fits
    /// is not looked at.
    pub(crate) async fn step_seen(&self, seen: K::Seen) -> Result<K::Decision, PolicyError> {
        let input = self.ready.input(None::<&()>, None, Some(&seen));
        let decision = self.ready.call(move |call| K::step(call, &seen)).await;
        self.ready.tell((K::NAME, "step"), input, &decision);
        decision
    }

    /// The same with somebody who hears what it decides.
    #[must_use]
    pub(crate) fn watched(mut self, witness: Option<Witness>) -> Self {
        self.ready.witness = witness;
        self
    }

    /// Puts a text of a decision together, which may name replies of its situation. One
    /// that is longer than any prompt or answer can be is an error; `before` is what the call
    /// has put together already, in bytes.
    pub(crate) fn join(
        &self,
        situation: &K::Situation<'_>,
        pieces: &[Piece],
        before: usize,
    ) -> Result<String, PolicyError> {
        let joined = pieces::join(pieces, |number| situation.text(number), before);
        joined.map_err(|failure| self.ready.error(failure))
    }
}
