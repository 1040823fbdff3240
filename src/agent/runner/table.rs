//! The runs that the runner has, and what becomes of them. One lock guards it:
//! a process is spawned and entered, or reaped and looked up, in one step.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

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

impl Table {
    pub(super) fn new(socket: UnixStream) -> Arc<Self> {
        let state = Mutex::new(State { runs: HashMap::new(), socket });
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
        let mut state = self.lock();
        self.stop_locked(&mut state, run, grace);
    }

    /// Ends all runs.
    pub(super) fn stop_all(self: &Arc<Self>, grace: Duration) {
        let mut state = self.lock();
        let runs: Vec<String> = state.runs.keys().cloned().collect();
        for run in runs {
            self.stop_locked(&mut state, &run, grace);
        }
    }

    fn stop_locked(self: &Arc<Self>, state: &mut State, name: &str, grace: Duration) {
        let Some(run) = state.runs.get_mut(name) else { return };
        let deadline = Instant::now() + grace;
        run.deadline = Some(run.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        if let Some(mut tree) = run.tree.take() {
            let (table, name) = (Arc::clone(self), name.to_owned());
            thread::spawn(move || table.end(&name, &mut tree));
        }
    }

    /// Ends all that belongs to a run; on a thread of its own.
    fn end(&self, name: &str, tree: &mut Tree) {
        let deadline = || {
            let state = self.lock();
            state.runs.get(name).and_then(|run| run.deadline).unwrap_or_else(Instant::now)
        };
        let survivors = tree::end(tree, deadline);
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

    /// Takes note of a child that was reaped. An adopted one is nobody's leader.
    pub(super) fn reaped(self: &Arc<Self>, state: &mut State, pid: i32, exit: Exit) {
        let Some((name, run)) =
            state.runs.iter_mut().find(|(_, run)| run.leader == pid && !run.exited)
        else {
            return;
        };
        run.exited = true;
        let (name, is_ending) = (name.clone(), run.deadline.is_some());
        let is_kept = run.keep_background && matches!(exit, Exit::Code(_));
        state.tell(&Notice::Exited { run: name.clone(), exit });
        if is_ending {
            return;
        }
        // What outlives its run has lost its parent, and so is our child now. As
        // a rule there is none, and looking costs next to nothing.
        let leaders: Vec<i32> =
            state.runs.values().filter(|run| !run.exited).map(|run| run.leader).collect();
        if !is_kept && tree::has_other_children(&leaders) {
            self.stop_locked(state, &name, tree::GRACE);
        } else {
            state.remove(&name, 0);
        }
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
