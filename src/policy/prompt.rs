//! The kind `prompt`: how a request reads, and what its reply means.

use std::sync::Arc;

use super::Host;
use super::error::{Failure, PolicyError};
use super::limits::mebibytes;
use super::ready::Ready;
use super::source::Source;
use super::text::{SAID, Share, Told, shown};
use super::versions::Call;
use super::witness::Witness;
use serde_json::Value;

pub use super::bindings::agent_dispatch::policy::types::{
    Agent, Fact, Reply, Request, SharedContext,
};
pub(super) use super::bindings::exports::agent_dispatch::policy::prompt::Interpretation;
pub use super::bindings::exports::agent_dispatch::policy::prompt::{Edit, Rendered};

/// The kind's name.
pub const KIND: &str = "prompt";

/// Largest addition to a system prompt, in bytes: it travels as one argument of
/// a command line, which the kernel limits to 128 KiB.
pub(super) const SYSTEM_BYTES: usize = 64 << 10;

/// Largest answer that is parsed, in bytes of JSON: read, it takes many times that.
pub(super) const PARSED_BYTES: usize = 1 << 20;

/// What a reply may be said to be.
const OUTCOMES: [&str; 3] = ["done", "partial", "blocked"];

/// What a policy made of a reply, looked through: it can be used as it is.
#[derive(Debug)]
pub struct Meaning {
    /// What becomes of the text; it leaves something of it.
    pub edit: Edit,
    /// `done`, `partial` or `blocked`.
    pub outcome: Option<String>,
    /// A sentence for people, without control characters.
    pub hint: Option<String>,
    /// The answer as JSON.
    pub parsed: Option<Value>,
}

/// A prompt policy that is loaded and whose config it has accepted.
pub struct Prompt(Ready);

impl Host {
    /// Loads a prompt policy and has it check its config.
    ///
    /// # Errors
    ///
    /// Anything that keeps the policy from being used; nothing was spent.
    pub async fn prompt(self: &Arc<Self>, source: &Source) -> Result<Prompt, PolicyError> {
        Ok(Prompt(Ready::load(self, source, KIND).await?))
    }
}

impl Prompt {
    /// The same with somebody who hears what it decides.
    #[must_use]
    pub fn watched(mut self, witness: Option<Witness>) -> Self {
        self.0.witness = witness;
        self
    }

    /// The policy's name and, in brackets, which component it is.
    pub fn title(&self) -> String {
        self.0.title()
    }

    /// The digest of the component, in hexadecimal.
    pub fn digest(&self) -> &str {
        self.0.digest()
    }

    /// Puts a request into words. One that does not fit into the input limit is an
    /// error: whoever asks would not learn that some of it was not read.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; nothing was spent.
    pub async fn render(&self, request: &Request) -> Result<Rendered, PolicyError> {
        let size = texts(request).iter().map(|text| text.len()).sum();
        if size > mebibytes(self.0.limits.input_mib) {
            return Err(self.error(Failure::TooLong { size, value: self.0.limits.input_mib }));
        }
        let input = self.0.input(Some(request), None::<&Reply>, None);
        let request = request.clone();
        let rendered = self.0.call(move |call| call.loaded.version.render(call, &request)).await;
        self.0.tell((KIND, "render"), input, &rendered);
        let rendered = rendered?;
        if rendered.user.trim().is_empty() {
            return Err(self.error(Failure::BadDecision("the prompt is empty".into())));
        }
        let system = rendered.system.as_deref().unwrap_or_default();
        if system.len() > SYSTEM_BYTES {
            let bound = format!("{} KiB of system prompt", SYSTEM_BYTES >> 10);
            return Err(self.error(Failure::Bound { bound }));
        }
        if system.contains('\0') {
            let problem = "the system prompt holds a NUL character".to_owned();
            return Err(self.error(Failure::BadDecision(problem)));
        }
        Ok(rendered)
    }

    /// Says what a reply means.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the reply stands as it is.
    pub async fn interpret(
        &self,
        request: &Request,
        told: &Told<'_>,
    ) -> Result<Meaning, PolicyError> {
        let mut texts = texts(request);
        texts.extend(told.texts());
        let share = self.share(&texts);
        let (request, reply, text) = (fit(request, share), told.fit(share), told.text);
        let input = self.0.input(Some(&request), Some(&reply), None);
        let interpret =
            move |call: &mut Call<'_>| call.loaded.version.interpret(call, &request, &reply);
        let interpretation = self.0.call(interpret).await;
        self.0.tell((KIND, "interpret"), input, &interpretation);
        self.meaning(interpretation?, text)
    }

    /// Refuses what would harm the reply, before anything of it is changed.
    fn meaning(&self, interpretation: Interpretation, text: &str) -> Result<Meaning, PolicyError> {
        let leaves_nothing = match &interpretation.edit {
            Edit::Keep => false,
            Edit::KeepFirst(bytes) => first(text, *bytes).trim().is_empty(),
            Edit::Replace(text) => text.trim().is_empty(),
        };
        if !text.is_empty() && leaves_nothing {
            let problem = "it leaves nothing of the answer".to_owned();
            return Err(self.error(Failure::BadDecision(problem)));
        }
        if interpretation.parsed.as_ref().is_some_and(|parsed| parsed.len() > PARSED_BYTES) {
            let bound = format!("{} MiB of parsed answer", PARSED_BYTES >> 20);
            return Err(self.error(Failure::Bound { bound }));
        }
        let Interpretation { edit, outcome, hint, parsed } = interpretation;
        if let Some(word) = outcome.as_deref().filter(|word| !OUTCOMES.contains(word)) {
            let problem =
                format!("the outcome is '{}', not one of {}", shown(word, 40), OUTCOMES.join(", "));
            return Err(self.error(Failure::BadDecision(problem)));
        }
        let parsed =
            parsed.map(|json| serde_json::from_str(&json)).transpose().map_err(|error| {
                self.error(Failure::BadDecision(format!("what it parsed is no JSON: {error}")))
            })?;
        let hint = hint.map(|hint| shown(hint.trim(), SAID)).filter(|hint| !hint.is_empty());
        Ok(Meaning { edit, outcome, hint, parsed })
    }

    fn share(&self, texts: &[&str]) -> Share {
        Share::of(mebibytes(self.0.limits.input_mib), texts)
    }

    fn error(&self, failure: Failure) -> PolicyError {
        self.0.error(failure)
    }
}

/// The first so many bytes of a text, a cut inside a character moved to the front of
/// it.
pub fn first(text: &str, bytes: u64) -> &str {
    &text[..text.floor_char_boundary(usize::try_from(bytes).unwrap_or(usize::MAX))]
}

/// The texts of a request that share the input limit.
fn texts(request: &Request) -> Vec<&str> {
    let agent = &request.agent;
    let optional = [&agent.description, &agent.instructions, &request.goal, &request.caller];
    let shared = request.shared_context.iter().map(|shared| shared.text.as_str());
    let optional = optional.into_iter().chain([&request.context]).flatten().map(String::as_str);
    optional.chain(shared).chain([request.task.as_str()]).collect()
}

/// The request as far as it fits.
fn fit(request: &Request, share: Share) -> Request {
    Request {
        agent: share.agent(&request.agent),
        task: share.fit(&request.task),
        context: share.fit_optional(request.context.as_deref()),
        caller: share.fit_optional(request.caller.as_deref()),
        goal: share.fit_optional(request.goal.as_deref()),
        shared_context: request.shared_context.as_ref().map(|shared| SharedContext {
            group: shared.group.clone(),
            text: share.fit(&shared.text),
            facts: shared.facts.clone(),
        }),
        answer_format: request.answer_format.clone(),
        facts: request.facts.clone(),
        ..*request
    }
}
