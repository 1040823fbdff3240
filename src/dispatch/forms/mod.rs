//! The forms of a call that are more than one dispatch: each is a loop around the one
//! pipeline, and what happens next in it is a policy's to say.
//!
//! - `parallel`: several dispatches at once; `members` are these
//! - `aggregate`: what is made of their answers; `ledger` is what that has used up, and
//!   `aggregated` what comes of it
//! - `dialogue`: two agents take turns
//! - `decider`: asks a policy, and the built-in one where it fails

mod aggregate;
mod aggregated;
mod decider;
mod dialogue;
mod ledger;
mod members;
mod parallel;

pub use aggregated::{Aggregated, Step};
pub use dialogue::{Dialogue, DialogueReply, Spoken};
pub use parallel::{Parallel, ParallelReply};
