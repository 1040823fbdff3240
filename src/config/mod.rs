//! The config room: `agents.yaml`, read and judged.
//!
//! [`Paths`] says where the file is. A [`Loader`] reads it on every call, cheaply,
//! and gives a [`Config`]. A mistake harms what it stands in and no more: each is a
//! [`Problem`] with its file, line and key, and only a file that cannot be
//! understood at all is a [`LoadError`].
//!
//! An [`Editor`] changes the file and keeps what a person wrote in it.
//!
//! From text to config: `node` is the tree with positions, `lax` reads single
//! values, `fields` reads mappings, `read` puts the config together.

mod edit;
mod error;
mod fields;
mod lax;
mod loader;
mod model;
mod named;
mod node;
mod paths;
mod problem;
mod read;
mod words;

#[cfg(test)]
mod tests;

pub use edit::{Choice, Edit, EditError, Editor, Locked, NewAgent, SetPolicy};
pub use error::{LoadError, LookupError};
pub use loader::Loader;
pub use model::{
    Agent, AgentCache, AgentPolicies, AggregateSettings, CacheSettings, Config, LimitOverrides,
    OnError, PolicyEntry, PolicyNames, Settings,
};
pub use named::Named;
pub(crate) use paths::CONFIG_VARIABLE;
pub use paths::{NoHome, Paths, expand_path};
pub use problem::{Problem, ProblemKind};
pub use read::{NAMES, is_name};
