//! From a request to what is to be run: validate, admit, put into words.

use super::Dispatcher;
use super::listing;
use super::prompt::{self, Reader, Worded};
use super::reply::{Refusal, Reply};
use super::request::Request;
use crate::agent::{Cli, Failure, Job, Outcome, RunRequest, Session};
use crate::config::{Agent, Config, LookupError};

/// What is run for a request.
pub(super) struct Plan {
    pub(super) run: RunRequest,
    pub(super) reader: Reader,
}

/// What a dispatch would run.
#[derive(Debug)]
pub struct Preview {
    /// The user's message, as the agent would read it on its standard input.
    pub prompt: String,
    /// The policy that wrote it, and which component that is.
    pub policy: String,
    /// Why the built-in policy stood in for the chosen one, if it did.
    pub fallback: Option<String>,
    /// The process that would be started.
    pub job: Job,
}

impl Dispatcher {
    /// What a request would run, and with which prompt. Starts no agent and spends
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Dispatcher::dispatch`]; the inner error is the reply that the dispatch
    /// would get without anything having run.
    pub async fn preview(&self, request: &Request) -> Result<Result<Preview, Reply>, Refusal> {
        let config = self.load(Some(&request.agent)).await?;
        let agent = match self.admit(&config, request)? {
            Ok(agent) => agent,
            Err(failure) => return Ok(Err(Reply::not_run(&request.agent, failure))),
        };
        let plan = match self.plan(&config, agent, request).await {
            Ok(plan) => plan,
            Err(failure) => return Ok(Err(Reply::not_run(&agent.name, failure))),
        };
        let job = match self.cli.job(&plan.run) {
            Ok(job) => job,
            Err(refusal) => {
                let outcome = Outcome::from(refusal);
                return Ok(Err(Reply::of(&agent.name, outcome, None)));
            }
        };
        Ok(Ok(Preview {
            policy: plan.reader.policy.title(),
            fallback: plan.reader.fallback(),
            prompt: plan.run.prompt,
            job,
        }))
    }

    /// Finds the agent of a request and whether it may be run from here.
    pub(super) fn admit<'c>(
        &self,
        config: &'c Config,
        request: &Request,
    ) -> Result<Result<&'c Agent, Failure>, Refusal> {
        if request.task.trim().is_empty() {
            return Err(Refusal::new("the task is blank: say what the agent should do"));
        }
        let agent = config.agent(&request.agent).map_err(|error| {
            let refusal = Refusal::new(error.to_string());
            match error {
                LookupError::Unknown { .. } if config.agents.is_empty() => {
                    refusal.with_hint(listing::how_to_begin(&config.file))
                }
                LookupError::Unknown { .. } => refusal,
                LookupError::Disabled { .. } => refusal.with_hint(
                    "Correct the entry in the config file; it is read again on every call.",
                ),
            }
        })?;
        if let Some(problem) = config.dispatching_blocked() {
            return Err(Refusal::new(format!("nothing is dispatched: {problem}")).with_hint(
                "This setting bounds what agents may spend or do, so its default is not used instead. Correct it in the config file.",
            ));
        }
        Ok(self.lineage.admit(&request.agent, config.settings.max_dispatch_depth).map(|()| agent))
    }

    pub(super) async fn plan(
        &self,
        config: &Config,
        agent: &Agent,
        request: &Request,
    ) -> Result<Plan, Failure> {
        let Worded { user, system, reader } =
            prompt::word(&self.policies, config, agent, request, self.lineage.depth).await?;
        let run = RunRequest {
            run: uuid::Uuid::new_v4().simple().to_string(),
            directory: agent.directory.clone(),
            prompt: user,
            system,
            session: Session::New(uuid::Uuid::new_v4().to_string()),
            model: agent.model.clone(),
            permission_mode: config.permission_mode(agent).map(str::to_owned),
            allowed_tools: config.allowed_tools(agent).to_vec(),
            disallowed_tools: config.disallowed_tools(agent).to_vec(),
            max_budget_usd: config.budget(agent),
            timeout: config.timeout(agent),
            command: config.command(agent).to_vec(),
            environment: self.lineage.environment(&agent.name),
            keep_background: false,
        };
        Ok(Plan { run, reader })
    }
}
