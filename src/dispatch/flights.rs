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
use super::listener::{Listener, News};
use super::reply::{Refusal, Reply};
use crate::agent::Failure;
use crate::config::CacheSettings;
use crate::lock::lock;

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
    Waiting,
    Running,
    Over(Arc<Reply>),
    Lost,
}

/// The place of one who waits for a run. The last who leaves ends it.
pub(super) struct Seat {
    flight: Arc<Flight>,
    shared: bool,
    has_left: bool,
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
        let state = watch::Sender::new(State::Waiting);
        let (waiting, ending) = (AtomicUsize::new(1), AtomicBool::new(false));
        let flight = Arc::new(Self { cancel, waiting, ending, state });
        let seat = Seat { flight: Arc::clone(&flight), shared: false, has_left: false };
        (flight, seat)
    }

    /// A run that nobody else can join.
    pub(super) fn alone(cancel: CancellationToken) -> (Landing, Seat) {
        let (flight, seat) = Self::new(cancel);
        (Landing { flight, listed: None }, seat)
    }

    /// Tells those who wait that the agent works now.
    pub(super) fn set_running(&self) {
        self.state.send_replace(State::Running);
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
        Some(Seat { flight: Arc::clone(self), shared: true, has_left: false })
    }
}

impl Seat {
    /// Waits for the reply. Who came to a run that was on already hears from here when it
    /// begins to work; who began it hears that, and more, from the run itself. Once
    /// `give_up` is cancelled the seat is left: a run for which nobody else waits is ended,
    /// and what it has said by then is the reply.
    pub(super) async fn reply(
        mut self,
        agent: &str,
        listener: &Listener,
        give_up: &CancellationToken,
    ) -> Result<Reply, Refusal> {
        let mut state = self.flight.state.subscribe();
        let mut told_running = !self.shared;
        loop {
            match &*state.borrow_and_update() {
                State::Waiting => {}
                State::Running if told_running => {}
                State::Running => {
                    told_running = true;
                    listener.tell(agent, News::Running);
                }
                State::Over(reply) => {
                    let mut reply = Reply::clone(reply);
                    reply.shared |= self.shared;
                    return Ok(reply);
                }
                State::Lost => return Err(Refusal::new("the dispatch was lost: its task failed")),
            }
            tokio::select! {
                // In this order: what is there already was paid for, and is not given up.
                biased;
                // It cannot fail: this seat holds the flight, and the flight the sender.
                _ = state.changed() => {}
                () = give_up.cancelled(), if !self.has_left => {
                    if !self.leave() {
                        return Ok(Reply::not_run(agent, Failure::cancelled_before_end()));
                    }
                }
            }
        }
    }

    /// Leaves, and ends the run if nobody waits for it any more; says whether it does.
    fn leave(&mut self) -> bool {
        self.has_left = true;
        let was_last = self.flight.waiting.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            self.flight.cancel.cancel();
        }
        was_last
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.has_left {
            self.leave();
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
    pub(super) fn land(mut self, reply: impl Into<Arc<Reply>>, may_be_kept: bool) {
        let reply = reply.into();
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
            let lost = matches!(state, State::Waiting | State::Running);
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

/// What one who asks would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An answer that was kept, or else the reply of a run.
    Answer,
    /// The reply of a run: of answers others know more.
    Reply,
    /// The reply of a run of its own.
    OwnReply,
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

    /// What there is for a question. The answer of a run of one's own takes the place of one
    /// that was kept.
    pub(super) fn find(
        &self,
        key: Key,
        settings: CacheSettings,
        wanted: Wanted,
        cancel: CancellationToken,
    ) -> Found {
        let mut shared = lock(&self.0);
        if wanted == Wanted::OwnReply {
            // Whatever comes of the new run, the old answer was not good enough.
            shared.cache.remove(&key);
        } else {
            if wanted == Wanted::Answer
                && let Some((reply, age)) = shared.cache.get(&key, settings)
            {
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

    /// The answer to a question that was kept, and its age; none for one who wants another.
    pub(super) fn answer(
        &self,
        key: &Key,
        settings: CacheSettings,
        fresh: bool,
    ) -> Option<(Reply, Duration)> {
        let mut shared = lock(&self.0);
        if fresh {
            shared.cache.remove(key);
            return None;
        }
        shared.cache.get(key, settings).map(|(reply, age)| (Reply::clone(&reply), age))
    }

    /// Keeps an answer that came from elsewhere than a flight.
    pub(super) fn keep(&self, key: Key, reply: &Arc<Reply>, settings: CacheSettings) {
        lock(&self.0).cache.put(key, reply, settings);
    }

    /// Counts one who has looked for an answer elsewhere.
    pub(super) fn count(&self, hit: bool) {
        lock(&self.0).cache.count(hit);
    }

    pub(super) fn stats(&self, settings: CacheSettings) -> CacheStats {
        lock(&self.0).cache.stats(settings)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;
    use crate::agent::Outcome;

    #[tokio::test]
    async fn who_gives_up_a_run_that_is_over_gets_its_reply() {
        // Each time both happen before anybody looks, and which is looked at first is chance
        // unless it is said.
        for _ in 0..100 {
            let (flight, _first) = Flight::new(CancellationToken::new());
            let seat = flight.join().expect("it is not being ended");
            let (listener, give_up) = (Listener::nobody(), CancellationToken::new());
            let mut waits = pin!(seat.reply("a", &listener, &give_up));
            assert!(poll!(&mut waits).is_pending());
            let outcome = Outcome { text: "paid for".to_owned(), ..Outcome::default() };
            Landing { flight, listed: None }.land(Reply::of("a", outcome, None), false);
            give_up.cancel();
            assert_eq!(*waits.await.expect("a reply").result, "paid for");
        }
    }
}
