//! From a request to what is to be run: validate, admit, plan, and put into words.

use std::sync::Arc;

use super::Dispatcher;
use super::choice::Chosen;
use super::jobs::{Keeping, session_of};
use super::key::{Key, deciding_environment};
use super::lineage::Lineage;
use super::listing;
use super::prompt::{self, Reader, Worded};
use super::reply::{Refusal, Reply};
use super::request::{Conversation, Request};
use super::sessions::{Home, Sessions};
use crate::agent::{Cli, ErrorType, Failure, Job, Outcome, RunRequest, Session};
use crate::config::{Agent, CacheSettings, Config};
use crate::policy::prompt as policy;

/// The longest id of a session that is taken for one, in bytes. They are remembered.
const SESSION_ID_BYTES: usize = 256;

/// What is to be done for a request, but for the words.
pub(super) struct Plan {
    /// What is run; its prompt is still to be written.
    pub(super) run: RunRequest,
    /// Who writes it.
    pub(super) policy: Chosen,
    /// What the policy gets to see.
    pub(super) seen: policy::Request,
    /// The program that is run and its first arguments, as configured.
    pub(super) command: Vec<String>,
    /// The config it was planned with.
    pub(super) config: Arc<Config>,
    /// Which answers of the agent are given again.
    pub(super) cache: CacheSettings,
    /// Where its answer may be shared with others who ask the same: by what they are told.
    pub(super) shareable: Option<Shareable>,
    /// The job that it is.
    pub(super) keeping: Option<Keeping>,
}

/// What tells others who ask the same.
pub(super) struct Shareable {
    pub(super) key: Key,
    /// The component that will put it into words, unless its file changes.
    pub(super) policy_digest: String,
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
    pub async fn preview(
        self: &Arc<Self>,
        request: Request,
    ) -> Result<Result<Preview, Reply>, Refusal> {
        let agent = request.agent.clone();
        let mut plan = match self.prepare(request).await? {
            Ok(plan) => plan,
            Err(failure) => return Ok(Err(Reply::not_run(&agent, failure))),
        };
        let reader = match self.word(&mut plan, false).await {
            Ok(reader) => reader,
            Err(failure) => return Ok(Err(Reply::not_run(&agent, failure))),
        };
        Ok(match self.cli.job(&plan.run) {
            Ok(job) => Ok(Preview {
                policy: reader.policy.title(),
                fallback: reader.fallback(),
                prompt: plan.run.prompt,
                job,
            }),
            Err(refusal) => Err(Reply::of(&agent, Outcome::from(refusal), None)),
        })
    }

    /// Plans a request: what would be run with the config as it is now. Blocks on the
    /// file system, and looks there at all that is looked at later without a time limit:
    /// one that hangs must hold up this call only.
    pub(super) fn plan(&self, request: &Request) -> Result<Result<Plan, Failure>, Refusal> {
        let config = self.load()?;
        let agent = find(&config, request)?;
        if let Err(failure) = self.lineage.admit(&agent.name, config.settings.max_dispatch_depth) {
            return Ok(Err(failure));
        }
        self.slots.resize(config.settings.max_concurrency as usize);
        let policy = match Chosen::of(&config, policy::KIND, config.prompt_policy(agent)) {
            Ok(policy) => policy,
            Err(problem) => return Ok(Err(Failure::new(ErrorType::Policy, problem))),
        };
        let run = run(&config, agent, request, &self.lineage, &self.sessions)?;
        let seen = prompt::seen(agent, request, &run, self.lineage.depth);
        drop(run.directory.metadata());
        let cache = config.cache(agent);
        let may_share = request.is_shareable() && cache.is_on();
        let digest = self.policies.digest(&policy.source, policy::KIND).filter(|_| may_share);
        let shareable = digest.and_then(|policy_digest| {
            let environment = self.environment.get_or_init(|| deciding_environment(&self.cli));
            let key = Key::of(&run, &seen, &policy.source, &policy_digest, environment)?;
            Some(Shareable { key, policy_digest })
        });
        let command = config.command(agent).to_vec();
        let keeping = request.keeping.clone();
        Ok(Ok(Plan { run, policy, seen, command, config, cache, shareable, keeping }))
    }

    /// Has the policy write the prompt of what is planned.
    pub(super) async fn word(&self, plan: &mut Plan, record: bool) -> Result<Reader, Failure> {
        let witness = self.recorder(record, [&*plan.seen.agent.name], &plan.run.run);
        let worded = prompt::word(&self.policies, &plan.policy, plan.seen.clone(), witness).await?;
        let Worded { user, system, reader } = worded;
        plan.run.prompt = user;
        plan.run.system = system;
        // What somebody else would be told was written by another component.
        plan.shareable.take_if(|shareable| shareable.policy_digest != reader.policy.digest());
        Ok(reader)
    }
}

/// The agent of a request, if it can be dispatched to at all.
fn find<'c>(config: &'c Config, request: &Request) -> Result<&'c Agent, Refusal> {
    if request.task.trim().is_empty() {
        return Err(Refusal::new("the task is blank: say what the agent should do"));
    }
    let agent = listing::find(config, &request.agent)?;
    refuse_blocked(config)?;
    Ok(agent)
}

/// Refuses every dispatch where a bound on agents is unknown.
pub(super) fn refuse_blocked(config: &Config) -> Result<(), Refusal> {
    match config.dispatching_blocked() {
        None => Ok(()),
        Some(problem) => Err(Refusal::new(format!("nothing is dispatched: {problem}")).with_hint(
            "This setting bounds what agents may spend or do, so its default is not used instead. Correct it in the config file.",
        )),
    }
}

/// What is run for a request, without a prompt.
fn run(
    config: &Config,
    agent: &Agent,
    request: &Request,
    lineage: &Lineage,
    sessions: &Sessions,
) -> Result<RunRequest, Refusal> {
    let mut command = config.command(agent).to_vec();
    // Looked up here, where one that hangs holds up this call only. One that is not found
    // keeps its name, for the error.
    if let Some(program) = command.first_mut()
        && let Ok(path) = which::which(&program)
        && let Ok(path) = path.into_os_string().into_string()
    {
        *program = path;
    }
    let keeping = request.keeping.as_ref();
    let id = keeping.map(|keeping| keeping.id.clone());
    let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let (session, directory) = match &request.conversation {
        Conversation::None | Conversation::New => {
            let new = match keeping {
                Some(keeping) => session_of(&keeping.id),
                None => uuid::Uuid::new_v4().to_string(),
            };
            (Session::New(new), agent.directory.clone())
        }
        Conversation::Resume(id) if id.len() > SESSION_ID_BYTES => {
            return Err(Refusal::new(format!(
                "the session id has {} bytes, and no agent CLI gives one of more than {SESSION_ID_BYTES}",
                id.len()
            )));
        }
        Conversation::Resume(id) => {
            let directory = match sessions.home(id) {
                // One whose agent is gone from the config is anybody's.
                Some(home) if home.agent != agent.name && config.agent(&home.agent).is_ok() => {
                    return Err(belongs_to_another(id, agent, &home));
                }
                // Where the agent's directory has changed since, the CLI looks for the
                // conversation in the one where it began.
                Some(home) => home.directory,
                None => agent.directory.clone(),
            };
            (Session::Resume(id.clone()), directory)
        }
    };
    let trace = request.trace.clone().unwrap_or_else(|| lineage.trace());
    Ok(RunRequest {
        run: id.clone(),
        directory,
        prompt: String::new(),
        system: None,
        session,
        model: agent.model.clone(),
        permission_mode: config.permission_mode(agent).map(str::to_owned),
        allowed_tools: config.allowed_tools(agent).to_vec(),
        disallowed_tools: config.disallowed_tools(agent).to_vec(),
        strict_mcp: agent.strict_mcp,
        setting_sources: agent.setting_sources.clone(),
        background_tasks: agent.background_tasks,
        max_budget_usd: request.budget(config.budget(agent)),
        timeout: request.timeout().unwrap_or_else(|| config.timeout(agent)),
        command,
        environment: lineage.environment(&agent.name),
        ids: Lineage::ids(&trace, &id),
        keep_background: agent.keep_background,
        spool: keeping.map(|keeping| keeping.spool.clone()),
    })
}

fn belongs_to_another(session: &str, agent: &Agent, home: &Home) -> Refusal {
    Refusal::new(format!(
        "the session {session} is one with the agent '{}', not with '{}'",
        home.agent, agent.name
    ))
    .with_hint("Name that agent, or name no session to begin a new one.")
}
