//! One call of a policy from JSON and back, for those who write one. The JSON is the WIT's:
//! a record is an object, its names with `_` for `-`; a case that holds something is an
//! object with that one key, and one that holds nothing is a text. The call itself is the
//! host's own, with all its limits and all that it refuses.

mod input;
mod output;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::aggregate::Aggregate;
use super::error::{Failure, PolicyError};
use super::steps::{Kind, Stepper};
use super::{Host, Source, Told, describe, prompt};

/// One call that is to be tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The kind as which the policy is called.
    pub kind: &'static str,
    /// What it is given.
    pub input: Value,
    /// What a relative path in the input is relative to.
    pub folder: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Tried {
    /// What the policy decided, or how it failed: an object with the one key `error`, which
    /// holds a word for what happened and what was said.
    pub outcome: Value,
    /// The texts that the decision puts together, each with what it is.
    pub texts: Vec<(String, String)>,
    /// The failure in full.
    pub failure: Option<PolicyError>,
    /// The policy's name and which component it is; none where it did not load.
    pub policy: Option<String>,
    /// How long the call took, a fresh instance included; loading is not.
    pub took: Option<Duration>,
}

/// What a decision comes to: its JSON, and the texts in it.
type Decided = (Value, Vec<(String, String)>);

/// Writes down what a policy has decided in a situation.
type Written<'s, K> = fn(
    &Stepper<K>,
    &<K as Kind>::Situation<'s>,
    &<K as Kind>::Decision,
) -> Result<Decided, PolicyError>;

impl Host {
    /// Tries one call.
    ///
    /// # Errors
    ///
    /// What is wrong with the input, as a sentence.
    pub async fn try_out(self: &Arc<Self>, source: &Source, trial: Trial) -> Result<Tried, String> {
        match trial.kind {
            prompt::KIND => self.try_prompt(source, trial.input).await,
            describe::KIND => self.try_describe(source, trial.input, &trial.folder).await,
            Aggregate::NAME => {
                let given = input::aggregate(trial.input)?;
                Ok(self.try_step(source, &given.situation(), output::aggregate).await)
            }
            _ => {
                let given = input::dialogue(trial.input)?;
                Ok(self.try_step(source, &given.situation(), output::dialogue).await)
            }
        }
    }

    async fn try_step<'s, K: Kind>(
        self: &Arc<Self>,
        source: &Source,
        situation: &K::Situation<'s>,
        written: Written<'s, K>,
    ) -> Tried {
        let policy = match Stepper::<K>::load(self, source).await {
            Ok(policy) => policy,
            Err(error) => return Tried::not_loaded(error),
        };
        let started = Instant::now();
        let decision = policy.step(situation).await;
        let took = started.elapsed();
        let decided = decision.and_then(|decision| written(&policy, situation, &decision));
        Tried::of(decided, policy.title(), took)
    }

    async fn try_prompt(self: &Arc<Self>, source: &Source, given: Value) -> Result<Tried, String> {
        let (request, reply) = input::prompt(given)?;
        let policy = match self.prompt(source).await {
            Ok(policy) => policy,
            Err(error) => return Ok(Tried::not_loaded(error)),
        };
        let started = Instant::now();
        let Some((facts, text)) = reply else {
            let rendered = policy.render(&request).await;
            let took = started.elapsed();
            return Ok(Tried::of(rendered.map(output::rendered), policy.title(), took));
        };
        let meaning = policy.interpret(&request, &Told { facts, text: &text }).await;
        let took = started.elapsed();
        let decided = meaning.map(|meaning| output::meaning(meaning, &text));
        Ok(Tried::of(decided, policy.title(), took))
    }

    async fn try_describe(
        self: &Arc<Self>,
        source: &Source,
        given: Value,
        folder: &Path,
    ) -> Result<Tried, String> {
        let directory = folder.join(input::project(given)?);
        if !directory.is_dir() {
            return Err(format!("project: {} is no directory", directory.display()));
        }
        let policy = match self.describe(source).await {
            Ok(policy) => policy,
            Err(error) => return Ok(Tried::not_loaded(error)),
        };
        let started = Instant::now();
        let described = policy.describe(directory, ()).await;
        let took = started.elapsed();
        Ok(Tried::of(described.map(output::description), policy.title(), took))
    }
}

impl Tried {
    fn of(decided: Result<Decided, PolicyError>, policy: String, took: Duration) -> Self {
        let (policy, took) = (Some(policy), Some(took));
        match decided {
            Ok((outcome, texts)) => Self { outcome, texts, failure: None, policy, took },
            Err(error) => Self { policy, took, ..Self::not_loaded(error) },
        }
    }

    fn not_loaded(error: PolicyError) -> Self {
        Self {
            outcome: output::failure(&error.failure),
            texts: Vec::new(),
            failure: Some(error),
            policy: None,
            took: None,
        }
    }
}

/// A failure as one word and what is said of it. Nothing is in it that changes when a line
/// is added to the policy's source.
fn in_a_word(failure: &Failure) -> (&'static str, String) {
    match failure {
        Failure::InvalidConfig(said) => ("invalid_config", said.clone()),
        Failure::Unsupported(said) => ("unsupported", said.clone()),
        Failure::Failed(said) => ("failed", said.clone()),
        Failure::BadDecision(problem) => ("bad_decision", problem.clone()),
        Failure::Limit { limit, value } => ("limit", format!("{limit} = {value}")),
        Failure::TooLong { value, .. } => ("limit", format!("input_mib = {value}")),
        Failure::Bound { bound } => ("bound", bound.clone()),
        Failure::Trap { message, .. } => ("trap", message.clone()),
        Failure::NoSuchBuiltIn { .. }
        | Failure::Unreadable { .. }
        | Failure::Changed(_)
        | Failure::Unusable(_)
        | Failure::Compile(_)
        | Failure::Host(_) => ("unusable", failure.to_string()),
    }
}
