//! What agents do while a command waits for them, on standard error.
//!
//! On a terminal there is a line for each agent that works, which changes as the agent
//! goes on; elsewhere a plain line when one begins and one when it is over.
//!
//! A terminal can stand still and a pipe can be full. So a thread of its own writes, and
//! nobody else waits for the reader.

mod board;
mod screen;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::dispatch::Listener;
use crate::lock::lock;
use board::Board;
use screen::Screen;

pub(super) use board::{Form, shown_cost, shown_time};
pub(super) use screen::beside;

/// How long an ending command waits for its last lines to be written; that takes as long
/// only where nobody reads them.
const FAREWELL: Duration = Duration::from_secs(2);

/// Somebody who writes how far the work is, until told to finish.
pub(super) struct Progress {
    shared: Arc<Shared>,
    /// Disconnected when the last line is written.
    written: Receiver<()>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    board: Board,
    over: bool,
}

impl Progress {
    pub(super) fn start(form: Form) -> Self {
        let screen = Screen::new();
        let board = Board::new(form, screen.is_live());
        let state = Mutex::new(State { board, over: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let (done, written) = channel();
        let writer = Arc::clone(&shared);
        // Without a thread nothing is told, and nothing else is lost.
        let _ = std::thread::Builder::new().name("progress".into()).spawn(move || {
            writer.write(screen);
            drop(done);
        });
        Self { shared, written }
    }

    /// Hears what is to be told.
    pub(super) fn listener(&self) -> Listener {
        let shared = Arc::clone(&self.shared);
        Listener::new(move |heard| {
            let mut state = lock(&shared.state);
            state.board.hear(heard, Instant::now());
            if state.board.has_lines() {
                shared.changed.notify_one();
            }
        })
    }

    /// Takes away what changes in place. What is printed from now on stands below the rest.
    pub(super) fn finish(self) {
        lock(&self.shared.state).over = true;
        self.shared.changed.notify_one();
        let _ = self.written.recv_timeout(FAREWELL);
    }
}

impl Shared {
    fn write(&self, mut screen: Screen) {
        let mut over = false;
        while !over {
            let mut state = lock(&self.state);
            if !state.over && !state.board.has_lines() {
                let waited = self.changed.wait_timeout(state, screen.patience());
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let lines = state.board.take_lines();
            let rows = state.board.rows(Instant::now(), screen.room());
            over = state.over;
            drop(state);
            screen.show(&lines, &rows);
        }
        screen.clear();
    }
}
