//! The kind `prompt`: how a request reads, and what its reply means.

use std::sync::Arc;

use serde::de::IgnoredAny;

use super::call;
use super::component::Loaded;
use super::error::{Failure, PolicyError};
use super::limits::{self, mebibytes};
use super::source::Source;
use super::text::{Allowance, SAID, shown};
use super::{Host, Limits};

#[expect(missing_docs, reason = "generated from wit/, which documents them")]
pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "prompt-policy",
        exports: { default: async },
    });
}

use bindings::PromptPolicyPre;
use bindings::agent_dispatch::policy::types;

pub use bindings::exports::agent_dispatch::policy::prompt::{Edit, Interpretation, Rendered};
pub use types::{Agent, Fact, Reply, Request, SharedContext};

const KIND: &str = "prompt";

/// Largest addition to a system prompt, in bytes: it travels as one argument of
/// a command line, which the kernel limits to 128 KiB.
const SYSTEM_BYTES: usize = 64 << 10;

/// What a reply may be said to be.
const OUTCOMES: [&str; 3] = ["done", "partial", "blocked"];

/// A prompt policy that is loaded and whose config it has accepted.
pub struct Prompt {
    name: String,
    loaded: Arc<Loaded>,
    config: String,
    limits: Limits,
}

impl Host {
    /// Loads a prompt policy and has it check its config.
    ///
    /// # Errors
    ///
    /// Anything that keeps the policy from being used; nothing was spent.
    pub async fn prompt(self: &Arc<Self>, source: &Source) -> Result<Prompt, PolicyError> {
        let prompt = Prompt {
            name: source.name.clone(),
            loaded: self.load(source, KIND).await?,
            config: source.config.clone(),
            limits: source.limits,
        };
        if !self.is_checked(&prompt.loaded, &prompt.config) {
            prompt.check().await?;
            self.set_checked(&prompt.loaded, &prompt.config);
        }
        Ok(prompt)
    }
}

impl Prompt {
    /// The policy's name and, in brackets, which component it is.
    pub fn title(&self) -> String {
        format!("{}{}", self.name, self.loaded.identity)
    }

    async fn check(&self) -> Result<(), PolicyError> {
        if self.config.len() > limits::CONFIG_BYTES {
            let bound = format!("{} KiB of config", limits::CONFIG_BYTES >> 10);
            return Err(self.error(Failure::Bound { bound }));
        }
        let config = self.config.clone();
        self.call(async move |store, guest| guest.call_check(store, &config).await).await
    }

    /// Puts a request into words. Texts beyond the input limit are cut, the
    /// context first.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; nothing was spent.
    pub async fn render(&self, request: &Request) -> Result<Rendered, PolicyError> {
        let request = fit_request(request, &mut self.allowance());
        let config = self.config.clone();
        let rendered = self
            .call(async move |store, guest| guest.call_render(store, &config, &request).await)
            .await?;
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

    /// Says what a reply means. Its text, size and completeness are filled in
    /// from `text`, so that a long one is copied only as far as it fits.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the reply stands as it is.
    pub async fn interpret(
        &self,
        request: &Request,
        reply: Reply,
        text: &str,
    ) -> Result<Interpretation, PolicyError> {
        let mut allowance = self.allowance();
        let (fitting, complete) = allowance.take(text);
        let reply = Reply { text: fitting, size: text.len() as u64, complete, ..reply };
        let request = fit_request(request, &mut allowance);
        let config = self.config.clone();
        let interpretation = self
            .call(async move |store, guest| {
                guest.call_interpret(store, &config, &request, &reply).await
            })
            .await?;
        self.check_interpretation(interpretation)
    }

    /// Refuses what would harm the reply, before anything of it is changed.
    fn check_interpretation(
        &self,
        interpretation: Interpretation,
    ) -> Result<Interpretation, PolicyError> {
        let Interpretation { outcome, hint, parsed, .. } = &interpretation;
        if let Some(word) = outcome.as_deref().filter(|word| !OUTCOMES.contains(word)) {
            let problem =
                format!("the outcome is '{}', not one of {}", shown(word, 40), OUTCOMES.join(", "));
            return Err(self.error(Failure::BadDecision(problem)));
        }
        if let Some(error) =
            parsed.as_deref().and_then(|json| serde_json::from_str::<IgnoredAny>(json).err())
        {
            let problem = format!("what it parsed is no JSON: {error}");
            return Err(self.error(Failure::BadDecision(problem)));
        }
        let hint =
            hint.as_deref().map(|hint| shown(hint.trim(), SAID)).filter(|hint| !hint.is_empty());
        Ok(Interpretation { hint, ..interpretation })
    }

    /// Calls the guest and unfolds the three ways in which that can fail.
    async fn call<T: Send + 'static>(
        &self,
        body: impl AsyncFnOnce(
            &mut wasmtime::Store<call::State>,
            &bindings::exports::agent_dispatch::policy::prompt::Guest,
        ) -> wasmtime::Result<Result<T, types::PolicyError>>
        + Send
        + 'static,
    ) -> Result<T, PolicyError> {
        let loaded = Arc::clone(&self.loaded);
        let result = call::call(
            loaded,
            self.name.clone(),
            self.limits,
            async move |store, loaded: &Loaded| {
                let world = PromptPolicyPre::new(loaded.instance.clone())?
                    .instantiate_async(&mut *store)
                    .await?;
                body(store, world.agent_dispatch_policy_prompt()).await
            },
        )
        .await;
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(refused)) => Err(self.error(match refused {
                types::PolicyError::InvalidConfig(said) => {
                    Failure::InvalidConfig(shown(&said, SAID))
                }
                types::PolicyError::Unsupported(said) => Failure::Unsupported(shown(&said, SAID)),
                types::PolicyError::Failed(said) => Failure::Failed(shown(&said, SAID)),
            })),
            Err(failure) => Err(self.error(failure)),
        }
    }

    fn allowance(&self) -> Allowance {
        Allowance::new(mebibytes(self.limits.input_mib))
    }

    fn error(&self, failure: Failure) -> PolicyError {
        PolicyError {
            policy: self.name.clone(),
            identity: Arc::clone(&self.loaded.identity),
            failure,
        }
    }
}

/// The request as far as it fits. The context is taken last, because it is what
/// grows large.
fn fit_request(request: &Request, allowance: &mut Allowance) -> Request {
    let agent = &request.agent;
    Request {
        task: allowance.take(&request.task).0,
        goal: allowance.take_optional(request.goal.as_deref()),
        caller: allowance.take_optional(request.caller.as_deref()),
        agent: Agent {
            description: allowance.take_optional(agent.description.as_deref()),
            instructions: allowance.take_optional(agent.instructions.as_deref()),
            ..agent.clone()
        },
        shared_context: request.shared_context.as_ref().map(|shared| SharedContext {
            group: shared.group.clone(),
            text: allowance.take(&shared.text).0,
        }),
        context: allowance.take_optional(request.context.as_deref()),
        answer_format: request.answer_format.clone(),
        facts: request.facts.clone(),
        ..*request
    }
}
