//! What the kinds have in common that are asked again and again what happens next.

use std::sync::Arc;

use super::bindings::agent_dispatch::policy::types::Piece;
use super::error::PolicyError;
use super::host::Host;
use super::source::Source;

/// A policy of such a kind, loaded and with its config accepted.
pub trait Steps: Sized + Send + Sync {
    /// The kind's name.
    const KIND: &'static str;
    /// All that has happened so far.
    type Situation<'a>: Send + Sync;
    /// What happens next, looked through: it fits the situation.
    type Decision: Send;

    /// Loads a policy and has it check its config.
    ///
    /// # Errors
    ///
    /// Anything that keeps the policy from being used.
    fn load(
        host: &Arc<Host>,
        source: &Source,
    ) -> impl Future<Output = Result<Self, PolicyError>> + Send;

    /// Asks what happens next.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; a decision that does not fit the situation too.
    fn step(
        &self,
        situation: &Self::Situation<'_>,
    ) -> impl Future<Output = Result<Self::Decision, PolicyError>> + Send;

    /// Puts a text of a decision together, which may name replies of its situation.
    ///
    /// # Errors
    ///
    /// It is longer than any prompt or answer can be.
    fn join(
        &self,
        situation: &Self::Situation<'_>,
        pieces: &[Piece],
    ) -> Result<String, PolicyError>;
}
