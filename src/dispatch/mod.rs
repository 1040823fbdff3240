//! The core: from a request to its reply, through one pipeline.
//!
//! ```text
//! Request ─ plan ─ cache, flight ─ session ─ slot ─ prompt policy ─ run ─ prompt policy ─ Reply ─ journal
//! ```
//!
//! Each stage is a file: [`request`] and [`reply`] are its ends, `plan` validates
//! and says what is to be run, `lineage` ends endless chains, `key` tells which
//! requests ask the same, `cache` and `flights` have them answered once, `shared` and `claims`
//! over all servers, `sessions` keeps runs of one conversation apart, `slots` bounds what goes on at once, `prompt`
//! asks the agent's prompt policy before and after, and [`crate::agent`] runs the
//! child; `journal` writes down what came of it, and `traceparent` is how a run below knows
//! whose it is. `forms` are the loops around it: several at once, and dialogues; `jobs` are
//! dispatches that go on when this process ends; `listener` is who hears meanwhile what
//! happens, `bell` rings when a process lets go of a file, `left_behind` is what killed ones
//! leave, and `delivery` is what of a reply goes out to a language model.
//! `listing` says whom one can ask and `checkup` what is amiss, `additions` changes that,
//! `installed` does the same with policies, and `describe` has projects describe themselves;
//! `choice` tells which policy serves, `recorder` keeps what policies decide and `replay` has
//! another one decide it again, and `by_name` holds what callers share for as long as one of
//! them has it. `kit` looks at policies and tries them, for those who write one.
//!
//! A run lives here, not with its caller: callers have a seat and wait. When the last
//! one leaves, the run is cancelled, and still brought to its end.

mod additions;
mod bell;
mod by_name;
mod cache;
mod checkup;
mod choice;
mod claims;
mod delivery;
mod describe;
mod flights;
mod forms;
mod installed;
mod jobs;
mod journal;
mod key;
mod kit;
mod left_behind;
mod lineage;
mod listener;
mod listing;
mod patience;
mod plan;
mod prompt;
mod recorder;
mod replay;
pub mod reply;
pub mod request;
mod run_id;
mod scan;
mod sessions;
mod shared;
mod slots;
mod traceparent;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::{Claude, Cli, ErrorType, Failure, RunEvent, Runner, Session};
use crate::config::{Config, Editor, Loader, Paths};
use crate::lock::lock;
use crate::policy::Host;
use crate::store::Store;

pub use additions::{Added, Additions, By, Newcomer};
pub use cache::CacheStats;
pub use checkup::{Check, Status};
pub use delivery::{Delivered, Fetch, Fetched, GivenAs, Page, Reference};
pub use describe::Described;
pub use forms::{Aggregated, Dialogue, DialogueReply, Parallel, ParallelReply, Spoken, Step};
pub use installed::{NewPolicy, PolicyAdded, PolicyEntry, PolicyRemoved, PolicyState, PolicyUse};
pub use jobs::{CancelOutcome, Cancelled, Job, JobFilter, JobSummary, Keeping, Waited, Within};
pub use kit::Subject;
pub use lineage::Lineage;
pub use listener::{Heard, Listener, News, summary};
pub use listing::{AgentEntry, Health, Listing};
pub use plan::Preview;
pub use replay::{Count, Difference, Replay, ReplayCall};
pub use reply::{Refusal, Reply};
pub use request::{Conversation, Form, Request};
pub use scan::{Scan, Skipped};

pub use crate::policy::{Inspection, Trial, Tried};
pub use crate::store::family::{Family, State};
pub use crate::store::jobs::Status as JobStatus;
pub use crate::store::journal::{Record, now_ms};
pub use crate::store::usage::{Figures, Typical, Usage};

use by_name::ByName;
use claims::Claims;
use flights::{Flight, Flights, Found, Landing, Wanted};
use jobs::Jobs;
use journal::{Entry, Journal};
use plan::{Plan, Shareable};
use prompt::Reader;
use sessions::{Home, Sessions};
use shared::{Answered, Question, Shared};
use slots::{Class, Slot, Slots};

/// How long the agents of an ending server have before they are killed.
const HURRIED_GRACE: Duration = Duration::from_millis(250);

/// How long an ending server waits for its runs to end; the runner finishes what
/// is left then. Whoever ends a server kills it soon after.
const FAREWELL: Duration = Duration::from_millis(350);

/// How long a call waits for a file system that does not answer.
const FILE_PATIENCE: Duration = Duration::from_secs(30);

/// How many calls about one agent look at the file system at once.
const AT_ONE_DOOR: usize = 8;

/// The door of calls that are about no agent.
const NO_AGENT: &str = "";

/// Serves requests; shared by all callers of a process.
pub struct Dispatcher {
    config: Arc<Loader>,
    editor: Editor,
    /// The config that was read last; its problems are logged.
    latest: Mutex<Option<Arc<Config>>>,
    policies: Arc<Host>,
    runner: Runner,
    cli: Claude,
    lineage: Lineage,
    /// What of this process's environment decides who answers; read once needed.
    environment: OnceLock<Vec<(String, String)>>,
    doors: ByName<Semaphore>,
    flights: Flights,
    claims: Claims,
    sessions: Sessions,
    slots: Slots,
    journal: Arc<Journal>,
    jobs: Jobs,
    /// Cancelled when the process is to end; every run listens to a child of it.
    ending: CancellationToken,
    /// When the ending process stops waiting.
    farewell: OnceLock<Instant>,
    runs: TaskTracker,
}

impl Dispatcher {
    /// A dispatcher for these paths. `executable` is this binary, which starts
    /// itself as runner and as compiler. Reads and starts nothing yet.
    pub fn new(paths: &Paths, executable: &Path, lineage: Lineage) -> Self {
        let compiled = paths.cache_folder.join("components");
        let config = Arc::new(Loader::new(&paths.config_file));
        let slots = Slots::new(&paths.state_folder, lineage.depth, Arc::clone(&config));
        Self {
            config,
            editor: Editor::new(&paths.config_file),
            latest: Mutex::new(None),
            policies: Arc::new(Host::new(executable.to_owned(), compiled)),
            runner: Runner::new(executable, &["runner"]),
            cli: Claude,
            lineage,
            environment: OnceLock::new(),
            doors: ByName::new(),
            flights: Flights::new(),
            claims: Claims::new(paths.state_folder.join("flights")),
            sessions: Sessions::new(paths.state_folder.join("sessions")),
            slots,
            journal: Arc::new(Journal::new(Store::new(&paths.state_folder))),
            jobs: Jobs::new(paths, executable),
            ending: CancellationToken::new(),
            farewell: OnceLock::new(),
            runs: TaskTracker::new(),
        }
    }

    /// Serves one request, and tells meanwhile how far it is. Dropping the future is
    /// leaving: a run for which nobody waits any more is cancelled.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no agent to reply for; everything that goes wrong
    /// with an agent is in the [`Reply`].
    pub async fn dispatch(
        self: &Arc<Self>,
        request: Request,
        listener: &Listener,
    ) -> Result<Reply, Refusal> {
        self.ask(request, listener, &CancellationToken::new()).await
    }

    /// The same for one that can be given up and still gets its reply, by then with what
    /// the agent has said so far.
    async fn ask(
        self: &Arc<Self>,
        request: Request,
        listener: &Listener,
        give_up: &CancellationToken,
    ) -> Result<Reply, Refusal> {
        let agent = request.agent.clone();
        // Boxed: it keeps much, and whoever calls would have room for it several times.
        let mut reply = Box::pin(self.ask_silently(request, listener, give_up)).await;
        if let Ok(reply) = &mut reply {
            reply.store_error = self.journal.trouble().await;
        }
        match &reply {
            Ok(reply) => listener.tell(&agent, News::Ended(reply)),
            Err(refusal) => listener.tell(&agent, News::Ended(&Reply::refused(&agent, refusal))),
        }
        reply
    }

    async fn ask_silently(
        self: &Arc<Self>,
        mut request: Request,
        listener: &Listener,
        give_up: &CancellationToken,
    ) -> Result<Reply, Refusal> {
        let (agent, fresh) = (request.agent.clone(), request.fresh);
        listener.tell(&agent, News::Waiting);
        let mut entry = self.journal.entry(&request, &self.lineage);
        request.trace = Some(entry.trace().to_owned());
        let prepare = give_up.run_until_cancelled(self.prepare(request));
        let Some(Some(prepared)) = self.ending.run_until_cancelled(prepare).await else {
            let reply = Reply::not_run(&agent, Failure::cancelled_before_start());
            return Ok(entry.ended_with(reply));
        };
        let plan = match prepared? {
            Ok(plan) => plan,
            Err(failure) => return Ok(entry.ended_with(Reply::not_run(&agent, failure))),
        };
        entry.planned(&plan);
        let cancel = self.ending.child_token();
        let mut question = None;
        let found = if let Some(Shareable { key, .. }) = plan.shareable {
            let mut wanted = if fresh { Wanted::OwnReply } else { Wanted::Answer };
            match self.look_up(key, plan.cache, fresh).await {
                Shared::Answer(reply, age) => {
                    self.remember(&plan, &reply);
                    return Ok(entry.ended_with(reply.kept_for(age)));
                }
                Shared::Open(open) => {
                    if !fresh {
                        wanted = Wanted::Reply;
                    }
                    question = Some(open);
                }
                Shared::Alone => {}
            }
            self.flights.find(key, plan.cache, wanted, cancel)
        } else {
            let (landing, seat) = Flight::alone(cancel);
            Found::New(landing, seat)
        };
        match found {
            Found::Answer(reply, age) => Ok(entry.ended_with(Reply::clone(&reply).kept_for(age))),
            Found::Running(seat) => {
                entry.share();
                let reply = seat.reply(&agent, listener, give_up).await?;
                Ok(entry.ended_with(reply))
            }
            Found::New(landing, seat) => {
                let (this, hears) = (Arc::clone(self), listener.clone());
                self.runs
                    .spawn(async move { this.fly(plan, question, landing, &hears, entry).await });
                seat.reply(&agent, listener, give_up).await
            }
        }
    }

    /// The shell command with which a person goes on with the conversation of a reply, if
    /// it has one that was carried on from here.
    pub fn resume_by_hand(&self, reply: &Reply) -> Option<String> {
        let session = reply.session_id.as_deref()?;
        let Home { directory, command, .. } = self.sessions.home(session)?;
        let words = self.cli.resume(&command, session);
        let command = shlex::try_join(words.iter().map(String::as_str)).ok()?;
        let directory = shlex::try_quote(directory.to_str()?).ok()?;
        Some(format!("cd {directory} && {command}"))
    }

    /// Cancels all dispatches; each still gets its reply.
    pub fn cancel(&self) {
        self.ending.cancel();
    }

    /// Cancels all dispatches and waits a moment for them. The runner ends what is
    /// left then. Called again it waits no longer.
    pub async fn end(&self) {
        let deadline = *self.farewell.get_or_init(|| Instant::now() + FAREWELL);
        // Not one by one: each cancelled run would give its agent the usual grace.
        self.runner.end_all(HURRIED_GRACE);
        self.cancel();
        self.runs.close();
        let _ = timeout_at(deadline, self.runs.wait()).await;
    }

    async fn prepare(self: &Arc<Self>, request: Request) -> Result<Result<Plan, Failure>, Refusal> {
        let (this, door) = (Arc::clone(self), request.agent.clone());
        self.look(&door, move || this.plan(&request)).await
    }

    /// Does what touches the file system off the reactor, and for no longer than somebody
    /// can be expected to wait: a directory on a network mount can hang. So many at once
    /// come in by one door; the threads that hang are no more than that, and leave those
    /// who come by another door theirs.
    async fn look<T: Send + 'static>(
        &self,
        door: &str,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let door = self.door(door);
        let looking = async {
            let entered = door.acquire_owned().await;
            let work = move || {
                // Until it is done, not until somebody gives up waiting for it.
                let _entered = entered;
                work()
            };
            let lost = |error| Err(Refusal::new(format!("the call was lost: {error}")));
            tokio::task::spawn_blocking(work).await.unwrap_or_else(lost)
        };
        tokio::time::timeout(FILE_PATIENCE, looking).await.unwrap_or_else(|_| Err(no_answer()))
    }

    fn door(&self, name: &str) -> Arc<Semaphore> {
        self.doors.get(name, || Semaphore::new(AT_ONE_DOOR))
    }

    /// The config as it is now. Blocks on the file system.
    fn load(&self) -> Result<Arc<Config>, Refusal> {
        let config = self.config.load();
        let config =
            config.map_err(|error| Refusal::new(error.to_string()).with_hint(error.hint()))?;
        // The loader gives the same config until the file changes.
        let mut latest = lock(&self.latest);
        if !latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, &config)) {
            for problem in &config.problems {
                tracing::info!("{problem}");
            }
            *latest = Some(Arc::clone(&config));
        }
        Ok(config)
    }

    /// One run from beginning to end.
    async fn fly(
        &self,
        mut plan: Plan,
        mut question: Option<Question>,
        landing: Landing,
        listener: &Listener,
        mut entry: Entry,
    ) {
        let flight = landing.flight();
        let preparing = async {
            if let Some(question) = &mut question {
                match self.who_answers(question, &plan, flight, listener).await? {
                    Answered::There(reply) => return Ok(Err(reply)),
                    Answered::Here(claim) => question.claim = claim,
                }
            }
            self.ready(&mut plan).await.map(Ok)
        };
        let prepared = flight.cancel.run_until_cancelled(preparing).await;
        let agent = &plan.seen.agent.name;
        let Ready { lock, turn, slot, reader } = match prepared {
            Some(Ok(Ok(ready))) => ready,
            Some(Ok(Err(reply))) => {
                self.remember(&plan, &reply);
                entry.shared_elsewhere();
                entry.ended(&reply);
                return landing.land(*reply, false);
            }
            not_ready => {
                let failure = not_ready.and_then(Result::err);
                let failure = failure.unwrap_or_else(Failure::cancelled_before_start);
                let reply = Reply::not_run(agent, failure);
                entry.ended(&reply);
                return landing.land(reply, false);
            }
        };
        entry.worded(&reader);
        let observe = &mut |event| match event {
            RunEvent::Started { .. } => {
                entry.begin();
                flight.set_running();
                listener.tell(agent, News::Running);
            }
            event => {
                if event == RunEvent::Ending {
                    flight.set_ending();
                }
                listener.tell(agent, News::Event(&event));
            }
        };
        let keeping = plan.keeping.as_ref().and_then(Keeping::descriptor);
        let held = [lock.descriptor(), slot.descriptor(), keeping].into_iter().flatten().collect();
        let cancel = &flight.cancel;
        let outcome =
            crate::agent::run(&self.cli, &self.runner, &plan.run, held, cancel, observe).await;
        drop(slot);
        let mut reply = Reply::of(agent, outcome, plan.run.max_budget_usd);
        reply.run = reply.was_run().then(|| plan.run.run.clone());
        prompt::interpret(&reader, &mut reply).await;
        if reply.error_type == Some(ErrorType::Timeout) {
            self.journal.suggest_timeout(&mut reply, plan.run.timeout).await;
        }
        self.remember(&plan, &reply);
        let (reply, may_share) = (Arc::new(reply), plan.shareable.is_some());
        entry.ended(&reply);
        let asked = question.as_ref().filter(|_| may_share);
        let publishing = asked.map(|question| self.publish(question, &reply));
        let may_be_kept = may_share && question.is_none() && reply.is_clean();
        landing.land(reply, may_be_kept);
        // Written here, where the reply has gone out.
        drop(entry);
        lock.release().await;
        // In this order: the next in this server finds the session unlocked.
        drop(turn);
        if let Some(publishing) = publishing {
            publishing.await;
        }
        if let Some(question) = question {
            self.answered(question).await;
        }
    }

    /// Remembers where the conversation of a reply began.
    fn remember(&self, plan: &Plan, reply: &Reply) {
        let Some(session) = &reply.session_id else { return };
        self.sessions.remember(session, || Home {
            agent: plan.seen.agent.name.clone(),
            directory: plan.run.directory.clone(),
            command: plan.command.clone(),
        });
    }

    /// Waits for all that a run needs. Who has a session's lock waits for no slot, nor the
    /// other way round: the one who has the other may be waiting for this one.
    async fn ready(&self, plan: &mut Plan) -> Result<Ready, Failure> {
        let (run, session) = (plan.run.run.clone(), plan.run.session.clone());
        let patience = plan.run.timeout;
        let in_use = |_| sessions::still_in_use(session.id(), patience);
        let records = plan.config.settings.record_policies;
        // Sessions are waited for no longer than the run itself may take: two that wait for
        // each other's would do so for ever.
        let deadline = Instant::now() + patience;
        let turn = timeout_at(deadline, self.sessions.turn(session.id())).await.map_err(in_use)?;
        loop {
            if let Session::Resume(id) = &session {
                let wait = self.sessions.wait(id, &self.lineage);
                timeout_at(deadline, wait).await.map_err(in_use)??;
            }
            let in_background = plan.keeping.as_ref().is_some_and(|job| !job.is_waited_for);
            let class = if in_background { Class::Background } else { Class::Interactive };
            let slot = self.slots.acquire(class).await;
            if plan.keeping.is_some() {
                // It comes up while the prompt is written; earlier it would only wait.
                self.runner.start_ahead();
            }
            // At once, as either takes another thread. Writing a prompt in vain costs nothing.
            let lock = self.sessions.claim(session.id(), &run);
            match tokio::join!(lock, self.word(plan, records)) {
                (Some(lock), Ok(reader)) => return Ok(Ready { lock, turn, slot, reader }),
                (Some(_lock), Err(failure)) => return Err(failure),
                (None, _) => {}
            }
        }
    }
}

/// What is said when nobody could be expected to wait any longer.
fn no_answer() -> Refusal {
    Refusal::new("the file system did not answer: the config file, an agent's directory, its program or a policy's component cannot be looked at")
        .with_hint("Look at the network mounts among them.")
}

/// What a run needs before it begins.
struct Ready {
    lock: sessions::Lock,
    turn: OwnedMutexGuard<()>,
    slot: Slot,
    reader: Reader,
}
