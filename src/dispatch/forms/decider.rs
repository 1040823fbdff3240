//! Asks a policy again and again what happens next. Where it fails and its entry says so,
//! the built-in one of its kind takes over.

use std::pin::Pin;
use std::sync::Arc;

use crate::dispatch::choice::{Chosen, how_to_choose};
use crate::dispatch::reply::Refusal;
use crate::one_line::one_line;
use crate::policy::{Host, Kind, PolicyError, Source, Stepper, Witness};

/// Longest reason of a policy that is shown, in characters.
const REASON: usize = 2000;

/// Why a policy wants to end it, as it is shown.
pub(super) fn reason(said: &str) -> String {
    one_line(said.trim(), REASON)
}

/// A policy that cannot be used, before anything was spent.
pub(super) fn refused<K: Kind>(error: PolicyError) -> Refusal {
    let hint = format!("Nothing was run or spent. {}", how_to_choose(K::NAME));
    Refusal::new(error.to_string()).with_hint(hint)
}

/// A policy and who stands in for it.
pub(super) struct Decider<K> {
    host: Arc<Host>,
    /// The one that decides now.
    pub(super) policy: Stepper<K>,
    /// Its name in the config or among the built-in ones.
    pub(super) name: String,
    stand_in: Option<Source>,
    fallback: Option<PolicyError>,
    witness: Option<Witness>,
}

impl<K: Kind> Decider<K> {
    /// Loads the policy and has it check its config.
    pub(super) async fn load(
        host: &Arc<Host>,
        chosen: Chosen,
        witness: Option<Witness>,
    ) -> Result<Self, PolicyError> {
        let Chosen { source, mut stand_in } = chosen;
        let (policy, name, fallback) = match (Stepper::load(host, &source).await, stand_in.take()) {
            (Ok(policy), unused) => {
                stand_in = unused;
                (policy, source.name, None)
            }
            (Err(error), Some(other)) => {
                (Stepper::load(host, &other).await?, other.name, Some(error))
            }
            (Err(error), None) => return Err(error),
        };
        let policy = policy.watched(witness.clone());
        Ok(Self { host: Arc::clone(host), policy, name, stand_in, fallback, witness })
    }

    /// What happens next. Boxed: the compiler cannot see otherwise that it may be sent to
    /// other threads.
    pub(super) fn step<'a>(
        &'a mut self,
        situation: &'a K::Situation<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<K::Decision, PolicyError>> + Send + 'a>> {
        Box::pin(self.step_now(situation))
    }

    async fn step_now(&mut self, situation: &K::Situation<'_>) -> Result<K::Decision, PolicyError> {
        let error = match self.policy.step(situation).await {
            Ok(decision) => return Ok(decision),
            Err(error) => error,
        };
        let Some(other) = self.stand_in.take() else { return Err(error) };
        tracing::info!(%error, "the built-in {} policy takes over", K::NAME);
        self.policy = Stepper::load(&self.host, &other).await?.watched(self.witness.clone());
        self.name = other.name;
        self.fallback = Some(error);
        self.policy.step(situation).await
    }

    /// Why the built-in policy has taken over, if it has.
    pub(super) fn fallback(&self) -> Option<String> {
        let error = self.fallback.as_ref()?;
        Some(format!("{error}; the built-in '{}' took over", self.name))
    }
}
