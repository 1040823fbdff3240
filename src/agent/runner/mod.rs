//! The runner: a second process of this program that is the parent of all agents.
//!
//! Nothing that runs in the server can act after the server was killed. The runner
//! can: it sits in a session of its own, sees the socket to the server close, and
//! ends what it had started. Conversely the server sees the runner die, and ends
//! the runs by their tag and mark. A runner costs nothing until the first dispatch.
//!
//! | file      | runs in    | what it does                                      |
//! |-----------|------------|---------------------------------------------------|
//! | `wire`    | both       | the messages, and how they cross the socket       |
//! | `client`  | the server | starts the runner and hands it jobs               |
//! | `process` | the runner | takes jobs, spawns them, sees to it that all end  |
//! | `table`   | the runner | the runs it has, and what becomes of them         |
//! | `thread`  | both       | threads for what has to be done whatever happens  |

mod client;
mod process;
mod table;
mod thread;
mod wire;

pub use client::Runner;
pub(super) use client::{Run, Streams};
pub use process::main as runner_main;
pub(super) use wire::{Notice, StartError};
