//! The runs that the runner has, and what becomes of them. One lock guards it:
//! a process is spawned and entered, or reaped and looked up, in one step.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::thread::on_thread;
use super::wire::{self, Notice};
use crate::agent::job::Job;
use crate::agent::outcome::Exit;
use crate::agent::tree::{self, Tree};

/// All runs, and the socket on which the server hears of them.
#[derive(Debug)]
pub(super) struct Table {
    state: Mutex<State>,
    /// Told whenever the state has changed.
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    runs: HashMap<String, Run>,
    /// A run that is over may have left processes that are to stay.
    has_kept: bool,
    socket: UnixStream,
}

#[derive(Debug)]
struct Run {
    leader: i32,
    /// Closed when nothing of the run is left.
    _held: Vec<OwnedFd>,
    /// After a normal end, what is left of it may stay.
    keep_background: bool,
    /// Its first process was reaped.
    exited: bool,
    /// Taken by the thread that ends it.
    tree: Option<Tree>,
    /// Set once it is being ended: from then on it is killed.
    deadline: Option<Instant>,
}

/// A run that is to be ended.
#[derive(Debug)]
pub(super) struct Ending {
    name: String,
    tree: Tree,
}

impl Table {
    pub(super) fn new(socket: UnixStream) -> Arc<Self> {
        let state = Mutex::new(State { runs: HashMap::new(), has_kept: false, socket });
        Arc::new(Self { state, changed: Condvar::new() })
    }

    /// A thread that panicked leaves a state that is still the best there is.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the threads that wait that something is different.
    pub(super) fn has_changed(&self) {
        self.changed.notify_all();
    }

    /// Waits until there is a process to reap: without one, there are no orphans
    /// to adopt either.
    pub(super) fn wait_for_a_leader(&self) {
        let _unused = self
            .changed
            .wait_while(self.lock(), |state| state.runs.values().all(|run| run.exited))
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Waits until there are no runs, but no longer than this.
    pub(super) fn wait_until_empty(&self, longest: Duration) {
        let _unused = self
            .changed
            .wait_timeout_while(self.lock(), longest, |state| !state.runs.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Ends a run, if it is there. Asked again it can only come sooner.
    pub(super) fn stop(self: &Arc<Self>, run: &str, grace: Duration) {
        let ending = self.lock().stop(run, grace);
        self.begin_end(ending);
    }

    /// Ends all runs.
    pub(super) fn stop_all(self: &Arc<Self>, grace: Duration) {
        let mut state = self.lock();
        let runs: Vec<String> = state.runs.keys().cloned().collect();
        let endings: Vec<_> = runs.iter().map(|run| state.stop(run, grace)).collect();
        drop(state);
        for ending in endings {
            self.begin_end(ending);
        }
    }

    /// To be called without the lock.
    pub(super) fn begin_end(self: &Arc<Self>, ending: Option<Ending>) {
        let Some(Ending { name, mut tree }) = ending else { return };
        let table = Arc::clone(self);
        on_thread(move || table.end(&name, &mut tree));
    }

    /// Ends all that belongs to a run; on a thread of its own.
    fn end(&self, name: &str, tree: &mut Tree) {
        let deadline = || {
            let state = self.lock();
            state.runs.get(name).and_then(|run| run.deadline).unwrap_or_else(Instant::now)
        };
        // While there is one run, and there was none that was to leave something, an
        // orphan can be no other's.
        let takes_strays = || {
            let state = self.lock();
            state.runs.len() == 1 && !state.has_kept
        };
        let survivors = tree::end(tree, deadline, takes_strays);
        let reaped = |state: &mut State| state.runs.get(name).is_some_and(|run| !run.exited);
        let patience = if survivors == 0 { REAP_PATIENCE } else { Duration::ZERO };
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, reaped)
            .unwrap_or_else(PoisonError::into_inner);
        state.remove(name, survivors);
        drop(state);
        self.has_changed();
    }
}

/// How long the reaping of an ended process may take.
const REAP_PATIENCE: Duration = Duration::from_secs(1);

impl State {
    /// Enters a run whose process was just spawned, under the same lock.
    pub(super) fn enter(&mut self, job: &Job, leader: i32, held: Vec<OwnedFd>) {
        let tree = Some(Tree::new(&job.run, Some(leader)));
        let keep_background = job.keep_background;
        let run = Run { leader, _held: held, keep_background, exited: false, tree, deadline: None };
        self.runs.insert(job.run.clone(), run);
    }

    /// Sets when a run is to be over. The first time it gives what is to be ended.
    fn stop(&mut self, name: &str, grace: Duration) -> Option<Ending> {
        let run = self.runs.get_mut(name)?;
        let deadline = Instant::now() + grace;
        run.deadline = Some(run.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        let tree = run.tree.take()?;
        Some(Ending { name: name.to_owned(), tree })
    }

    /// Takes note of a child that was reaped, and says what is to be ended now. An
    /// adopted one is nobody's leader.
    pub(super) fn reaped(&mut self, pid: i32, exit: Exit) -> Option<Ending> {
        let (name, run) = self.runs.iter_mut().find(|(_, run)| run.leader == pid && !run.exited)?;
        run.exited = true;
        let (name, is_ending) = (name.clone(), run.deadline.is_some());
        let is_kept = run.keep_background && matches!(exit, Exit::Code(_));
        let exited = Notice::Exited { run: name.clone(), exit };
        if is_ending {
            self.tell(&exited);
            return None;
        }
        // What outlives its run has lost its parent, and so is our child now. As
        // a rule there is none, and looking costs next to nothing.
        let leaders: Vec<i32> =
            self.runs.values().filter(|run| !run.exited).map(|run| run.leader).collect();
        self.has_kept |= is_kept;
        if !is_kept && tree::has_other_children(&leaders) {
            self.tell(&exited);
            self.stop(&name, tree::GRACE)
        } else {
            // What the run holds is let go of before anybody hears that it is over: whose
            // lock it was finds it free.
            self.runs.remove(&name);
            self.tell(&exited);
            self.tell(&Notice::Gone { run: name, survivors: 0 });
            None
        }
    }

    fn remove(&mut self, name: &str, survivors: usize) {
        if self.runs.remove(name).is_some() {
            self.tell(&Notice::Gone { run: name.to_owned(), survivors });
        }
    }

    /// Tells the server. One that is gone is noticed where the socket is read.
    pub(super) fn tell(&self, notice: &Notice) {
        let _ = wire::send(&self.socket, notice);
    }
}
