//! What outlives this process: one SQLite file that all servers of a user share, and in it
//! the journal of dispatches and the answers that are given again.
//!
//! - `file`: where it lies, how it is opened, and its format
//! - `worker`: the thread that has the connection
//! - `error`: why there is no store, and what to do about it
//! - `owner`: which process a record belongs to
//! - [`journal`]: what a record holds and how it is written
//! - [`usage`]: what the records of an agent add up to
//! - [`family`]: who asked whom
//! - [`decisions`]: what policies were given and decided
//! - [`replies`]: replies that are fetched later
//! - [`answers`]: answers that are given again
//! - [`jobs`]: dispatches that outlive the process that asked for them
//!
//! This room knows nothing but its tables: no policies, no agents, no MCP, no command line.
//! It may fail at any time, and nobody waits for it for long: whoever asks goes on without,
//! except who wants a job, of which nothing would be known without it.

pub mod answers;
pub mod decisions;
mod error;
pub mod family;
mod file;
pub mod jobs;
pub mod journal;
mod owner;
pub mod replies;
pub mod usage;
mod worker;

pub use error::StoreError;
pub use owner::Owner;
pub use worker::Store;

#[cfg(test)]
mod tests;
