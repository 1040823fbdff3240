//! The policy room: a WASM host for decisions.
//!
//! A policy is a pure function in a component (see `wit/`). This room resolves a
//! [`Source`] to a compiled component, gives every call a fresh, limited
//! instance, and says in one error which policy failed, at what, and why. It
//! knows nothing of agents, processes or the config file.
//!
//! - `source`: where a component's bytes come from, and how a change is noticed;
//!   [`Installed`]: what vouches for those that were installed
//! - `compile`: bytes to machine code, in a child process, kept on disk
//! - `component`: what a component exports and imports; `metadata`: what it calls
//!   itself
//! - `json`: what crosses into a policy and back, written down
//! - `call`: one call in the sandbox; `limits` and `state`: what it may use and has
//!   used; `wasi`, `stderr` and `text`: what it sees and says
//! - `versions`: which versions of the interface there are, and how each is called
//! - `inspect` and `trial`: what those need who write one: all that is wrong with a
//!   component, and one call of it from JSON
//! - `ready`: what all kinds have in common; [`prompt`], [`describe`], [`aggregate`] and
//!   [`dialogue`]: the typed faces of the kinds; `steps` and `pieces`: what the last two
//!   share; `project`: what a describe policy sees of a directory
//! - [`guide`]: how to write one

pub mod aggregate;
mod bindings;
mod built_in;
mod call;
mod compile;
mod component;
pub mod describe;
pub mod dialogue;
mod engine;
mod error;
pub mod guide;
mod host;
mod inspect;
mod installed;
mod json;
mod limits;
mod metadata;
mod pieces;
mod project;
pub mod prompt;
mod ready;
mod source;
mod state;
mod stderr;
mod steps;
mod text;
mod trial;
mod versions;
mod wasi;
mod witness;

pub use built_in::{kinds as built_in_kinds, names as built_in_names};
pub use compile::compile_main;
pub use error::{Changed, Failure, Identity, PolicyError};
pub use host::{Host, Loadable};
pub use inspect::{Import, Inspection, KindFound, Problem};
pub use installed::{Installed, Line, Lock};
pub use limits::Limits;
pub use metadata::Metadata;
pub use source::{ComponentSource, Source};
pub(crate) use steps::{Kind, Stepper};
pub use text::Told;
pub use trial::{Trial, Tried};
pub use witness::{Decided, Witness};

/// The kinds of policies.
pub const KINDS: [&str; 4] =
    [prompt::KIND, describe::KIND, aggregate::Aggregate::NAME, dialogue::Dialogue::NAME];

/// The version of the interface that this host offers.
pub const INTERFACE_VERSION: &str = bindings::VERSION;
