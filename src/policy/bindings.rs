//! What `wit/` says, as Rust.

#![expect(missing_docs, reason = "generated from wit/, which documents them")]

/// The package that all policies are written against.
pub(super) const PACKAGE: &str = "agent-dispatch:policy/";

/// The version of it that this host offers.
pub(super) const VERSION: &str = "0.1.0";

wasmtime::component::bindgen!({ path: "wit", world: "prompt-policy" });
