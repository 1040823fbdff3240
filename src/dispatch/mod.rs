//! The core: from a request to its reply, through one pipeline.
//!
//! ```text
//! Request ─ validate ─ lineage ─ slot ─ prompt policy ─ run ─ prompt policy ─ Reply
//! ```
//!
//! Each stage is a file: [`request`] and [`reply`] are its ends, `plan` validates
//! and turns a request into what is to be run, `lineage` ends endless chains,
//! `slots` bounds what goes on at once, `prompt` asks the agent's prompt policy
//! before and after, and [`crate::agent`] runs the child. `listing` says whom one
//! can ask.
//!
//! A run lives here, not with its caller: a caller that goes away cancels it, and
//! it is still brought to its end.

mod lineage;
mod listing;
mod plan;
mod prompt;
pub mod reply;
pub mod request;
mod slots;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::{Claude, ErrorType, Failure, Runner};
use crate::config::{Config, Loader, Paths};
use crate::policy::Host;

pub use lineage::Lineage;
pub use listing::{AgentEntry, Health, Listing};
pub use plan::Preview;
pub use reply::{Refusal, Reply};
pub use request::Request;

use slots::Slots;

/// How long an ending server waits for its runs to end; the runner finishes what
/// is left then.
const FAREWELL: Duration = Duration::from_millis(250);

/// How long a call waits for a file system that does not answer.
const FILE_PATIENCE: Duration = Duration::from_secs(30);

/// Serves requests; shared by all callers of a process.
pub struct Dispatcher {
    config: Arc<Loader>,
    /// The config whose problems were logged last.
    logged: Mutex<Option<Arc<Config>>>,
    policies: Arc<Host>,
    runner: Runner,
    cli: Claude,
    lineage: Lineage,
    slots: Slots,
    /// Cancelled when the process is to end; every run listens to a child of it.
    ending: CancellationToken,
    runs: TaskTracker,
}

impl Dispatcher {
    /// A dispatcher for these paths. `executable` is this binary, which starts
    /// itself as runner and as compiler. Reads and starts nothing yet.
    pub fn new(paths: &Paths, executable: &Path, lineage: Lineage) -> Self {
        let compiled = paths.cache_folder.join("components");
        Self {
            config: Arc::new(Loader::new(&paths.config_file)),
            logged: Mutex::new(None),
            policies: Arc::new(Host::new(executable.to_owned(), compiled)),
            runner: Runner::new(executable, &["runner"]),
            cli: Claude,
            lineage,
            slots: Slots::new(),
            ending: CancellationToken::new(),
            runs: TaskTracker::new(),
        }
    }

    /// Serves one request. Dropping the future cancels the run.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no agent to reply for; everything that goes wrong
    /// with an agent is in the [`Reply`].
    pub async fn dispatch(self: &Arc<Self>, request: Request) -> Result<Reply, Refusal> {
        let cancel = self.ending.child_token();
        let _cancel_when_dropped = cancel.clone().drop_guard();
        let this = Arc::clone(self);
        let run = self.runs.spawn(async move { this.serve(&request, &cancel).await });
        run.await
            .unwrap_or_else(|error| Err(Refusal::new(format!("the dispatch was lost: {error}"))))
    }

    /// Whom one can ask.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config cannot be read.
    pub async fn list(&self) -> Result<Listing, Refusal> {
        let config = self.load(None).await?;
        blocking(move || Ok(Listing::of(&config))).await
    }

    /// Cancels all dispatches; each still gets its reply.
    pub fn cancel(&self) {
        self.ending.cancel();
    }

    /// Cancels all dispatches and waits a moment for them. The runner ends what is
    /// left then.
    pub async fn end(&self) {
        self.cancel();
        self.runs.close();
        let _ = tokio::time::timeout(FAREWELL, self.runs.wait()).await;
    }

    /// The config as it is now. Also looks once at the directory of the agent that is
    /// to be run and at its policy's component, as will be done without a time limit
    /// later: one that hangs must hold up this call only. What is wrong with them is
    /// said there.
    async fn load(&self, agent: Option<&str>) -> Result<Arc<Config>, Refusal> {
        let loader = Arc::clone(&self.config);
        let agent = agent.map(str::to_owned);
        let config = blocking(move || {
            let config = loader
                .load()
                .map_err(|error| Refusal::new(error.to_string()).with_hint(error.hint()))?;
            if let Some(agent) = agent.and_then(|name| config.agent(&name).ok()) {
                drop(agent.directory.metadata());
                if let Some(Ok(policy)) = config.policy(config.prompt_policy(agent)) {
                    drop(policy.component.metadata());
                }
            }
            Ok(config)
        })
        .await?;
        // The loader gives the same config until the file changes.
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if !logged.as_ref().is_some_and(|logged| Arc::ptr_eq(logged, &config)) {
            for problem in &config.problems {
                tracing::info!("{problem}");
            }
            *logged = Some(Arc::clone(&config));
        }
        Ok(config)
    }

    async fn serve(&self, request: &Request, cancel: &CancellationToken) -> Result<Reply, Refusal> {
        let Some(loaded) = cancel.run_until_cancelled(self.load(Some(&request.agent))).await else {
            return Ok(Reply::not_run(&request.agent, cancelled()));
        };
        let config = loaded?;
        let agent = match self.admit(&config, request)? {
            Ok(agent) => agent,
            Err(failure) => return Ok(Reply::not_run(&request.agent, failure)),
        };
        let prepared = cancel.run_until_cancelled(async {
            let slot = self.slots.acquire(config.settings.max_concurrency as usize).await;
            self.plan(&config, agent, request).await.map(|plan| (slot, plan))
        });
        let (_slot, plan) = match prepared.await {
            Some(Ok(prepared)) => prepared,
            Some(Err(failure)) => return Ok(Reply::not_run(&agent.name, failure)),
            None => return Ok(Reply::not_run(&agent.name, cancelled())),
        };
        let outcome =
            crate::agent::run(&self.cli, &self.runner, &plan.run, cancel, &mut |_event| {}).await;
        let mut reply = Reply::of(&agent.name, outcome, plan.run.max_budget_usd);
        prompt::interpret(&plan.reader, &mut reply).await;
        Ok(reply)
    }
}

fn cancelled() -> Failure {
    let message = "the dispatch was cancelled before the agent was started";
    Failure::new(ErrorType::Cancelled, message)
}

/// Runs what touches the file system off the reactor: a directory on a network
/// mount can hang, and only the call that looks at it may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::time::timeout(FILE_PATIENCE, tokio::task::spawn_blocking(work)).await;
    match done {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Refusal::new(format!("the call was lost: {error}"))),
        Err(_) => Err(Refusal::new(
            "the file system did not answer: the config file, an agent's directory or a policy's component cannot be looked at",
        )
        .with_hint("Look at the network mounts among them.")),
    }
}
