//! agent-dispatch: lets one coding agent ask the agent of another project.
//!
//! The map of the house. Arrows point one way:
//! `main → cli, server → dispatch → policy, agent, store, config`; `policy`, `agent` and
//! `store` know neither each other nor MCP nor the command line.
//!
//! - [`cli`]: one file a command; the only room that prints
//! - [`server`]: MCP; every tool is one call into [`dispatch`]
//! - [`dispatch`]: the core, from a request to its reply through one pipeline
//! - [`policy`]: the WASM host for every matter of taste (see `wit/`)
//! - [`agent`]: the child process: command line, runner, event stream, ending
//! - [`store`]: what outlives the process: the journal of dispatches
//! - [`config`]: what `agents.yaml` says
//!
//! Policies of one's own: [`policy::guide`].

pub mod agent;
pub mod cli;
pub mod config;
pub mod dispatch;
mod file_stamp;
mod lock;
mod one_line;
pub mod policy;
mod private_file;
pub mod server;
pub mod store;
