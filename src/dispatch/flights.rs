//! Runs and those who wait for them. Who asks what is being asked already waits for
//! the same run; who asks what was just answered gets that answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, CacheStats};
use super::key::Key;
use super::reply::{Refusal, Reply};
use crate::config::CacheSettings;
use crate::lock::lock;

/// Where a dispatch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its agent does not run yet: it waits for a free place, or for its conversation.
    Waiting,
    /// Its agent works.
    Running,
}

/// A run in the core. It belongs to nobody: it goes on while somebody waits for it,
/// and is brought to its end when nobody does.
pub(super) struct Flight {
    /// Ends the run.
    pub(super) cancel: CancellationToken,
    /// How many wait for it; once 0, always 0.
    waiting: AtomicUsize,
    /// It is being ended, so that it can answer nobody who asks now.
    ending: AtomicBool,
    state: watch::Sender<State>,
}

enum State {
    On(Phase),
    Over(Arc<Reply>),
    Lost,
}

/// The place of one who waits for a run. The last who leaves ends it.
pub(super) struct Seat {
    flight: Arc<Flight>,
    shared: bool,
}

/// The end of a run, which has to come.
pub(super) struct Landing {
    flight: Arc<Flight>,
    listed: Option<Listed>,
}

/// Where a run is found by others who ask the same.
struct Listed {
    flights: Flights,
    key: Key,
    settings: CacheSettings,
}

impl Flight {
    fn new(cancel: CancellationToken) -> (Arc<Self>, Seat) {
        let state = watch::Sender::new(State::On(Phase::Waiting));
        let (waiting, ending) = (AtomicUsize::new(1), AtomicBool::new(false));
        let flight = Arc::new(Self { cancel, waiting, ending, state });
        let seat = Seat { flight: Arc::clone(&flight), shared: false };
        (flight, seat)
    }

    /// A run that nobody else can join.
    pub(super) fn alone(cancel: CancellationToken) -> (Landing, Seat) {
        let (flight, seat) = Self::new(cancel);
        (Landing { flight, listed: None }, seat)
    }

    /// Tells those who wait that the agent works now.
    pub(super) fn set_running(&self) {
        self.state.send_replace(State::On(Phase::Running));
    }

    /// From now on nobody can join: the run is being ended.
    pub(super) fn set_ending(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// One more place, unless the run is being ended, as it is when all have left.
    fn join(self: &Arc<Self>) -> Option<Seat> {
        if self.ending.load(Ordering::Acquire) {
            return None;
        }
        let one_more = |waiting| (waiting > 0).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Seat { flight: Arc::clone(self), shared: true })
    }
}

impl Seat {
    /// Waits for the reply, and tells meanwhile how far it is.
    pub(super) async fn reply(&self, progress: &watch::Sender<Phase>) -> Result<Reply, Refusal> {
        let mut state = self.flight.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                State::On(phase) => {
                    progress.send_if_modified(|told| std::mem::replace(told, *phase) != *phase);
                }
                State::Over(reply) => {
                    let mut reply = Reply::clone(reply);
                    reply.shared = self.shared;
                    return Ok(reply);
                }
                State::Lost => return Err(Refusal::new("the dispatch was lost: its task failed")),
            }
            // It cannot fail: this seat holds the flight, and the flight the sender.
            let _ = state.changed().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.flight.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.flight.cancel.cancel();
        }
    }
}

impl Landing {
    /// The run that is to come to its end.
    pub(super) fn flight(&self) -> &Flight {
        &self.flight
    }

    /// Hands the reply to all who wait, and keeps it for those who come later if it
    /// may be given again.
    pub(super) fn land(mut self, reply: Reply, may_be_kept: bool) {
        let reply = Arc::new(reply);
        self.unlist(may_be_kept.then_some(&reply));
        self.flight.state.send_replace(State::Over(reply));
    }

    fn unlist(&mut self, keep: Option<&Arc<Reply>>) {
        let Some(Listed { flights, key, settings }) = self.listed.take() else { return };
        let mut shared = lock(&flights.0);
        // Another run took its place, or all was cleared: its answer is not wanted.
        if !shared.flights.get(&key).is_some_and(|listed| Arc::ptr_eq(listed, &self.flight)) {
            return;
        }
        shared.flights.remove(&key);
        if let Some(reply) = keep {
            shared.cache.put(key, reply, settings);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.unlist(None);
        self.flight.state.send_if_modified(|state| {
            let lost = matches!(state, State::On(_));
            if lost {
                *state = State::Lost;
            }
            lost
        });
    }
}

/// The runs that can be joined and the answers that are kept, under one lock, so that
/// nobody comes between the end of the one and the beginning of the other.
#[derive(Clone)]
pub(super) struct Flights(Arc<Mutex<Shared>>);

struct Shared {
    flights: HashMap<Key, Arc<Flight>>,
    cache: Cache,
}

/// What there is for one who asks.
pub(super) enum Found {
    /// An answer that was kept, and for how long.
    Answer(Arc<Reply>, Duration),
    /// A run that is on.
    Running(Seat),
    /// A run that is to be begun.
    New(Landing, Seat),
}

impl Flights {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Shared { flights: HashMap::new(), cache: Cache::new() })))
    }

    /// What there is for a question. `fresh` wants a run of its own, whose answer takes
    /// the place of one that was kept.
    pub(super) fn find(
        &self,
        key: Key,
        settings: CacheSettings,
        fresh: bool,
        cancel: CancellationToken,
    ) -> Found {
        let mut shared = lock(&self.0);
        if fresh {
            // Whatever comes of the new run, the old answer was not good enough.
            shared.cache.remove(&key);
        } else {
            if let Some((reply, age)) = shared.cache.get(&key, settings) {
                return Found::Answer(reply, age);
            }
            if let Some(seat) = shared.flights.get(&key).and_then(Flight::join) {
                return Found::Running(seat);
            }
        }
        let (flight, seat) = Flight::new(cancel);
        shared.flights.insert(key, Arc::clone(&flight));
        let listed = Some(Listed { flights: self.clone(), key, settings });
        Found::New(Landing { flight, listed }, seat)
    }

    /// Forgets all answers, also those that are still to come, and says how many there
    /// were.
    pub(super) fn clear(&self, settings: CacheSettings) -> usize {
        let mut shared = lock(&self.0);
        shared.flights.clear();
        shared.cache.clear(settings)
    }

    pub(super) fn stats(&self, settings: CacheSettings) -> CacheStats {
        lock(&self.0).cache.stats(settings)
    }
}
