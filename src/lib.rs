//! agent-dispatch: lets one coding agent ask the agent of another project.
//!
//! The map of the house. Arrows point one way:
//! `main → cli, server → dispatch → policy, agent, config`.
//!
//! - [`policy`]: the WASM host for every matter of taste (see `wit/`)

pub mod policy;
