//! What `wit/` says, as Rust.

#![expect(missing_docs, reason = "generated from wit/, which documents them")]

/// The package that all policies are written against.
pub(super) const PACKAGE: &str = "agent-dispatch:policy/";

/// The version of it that this host offers.
pub(super) const VERSION: &str = "0.1.0";

// Serialize: what a policy is given is part of what tells two requests apart. Deserialize:
// who writes a policy tries it on requests of his own.
wasmtime::component::bindgen!({
    path: "wit",
    world: "prompt-policy",
    additional_derives: [serde::Serialize, serde::Deserialize],
});

/// The world of describe policies; what all kinds share is that of the one above.
pub(super) mod describe {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "describe-policy",
        imports: { default: trappable },
        with: {
            "agent-dispatch:policy/types": super::agent_dispatch::policy::types,
            "agent-dispatch:policy/host": super::agent_dispatch::policy::host,
            "agent-dispatch:policy/project-view.project": crate::policy::project::View,
        },
    });
}

/// The world of aggregate policies.
pub(super) mod aggregate {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "aggregate-policy",
        with: {
            "agent-dispatch:policy/types": super::agent_dispatch::policy::types,
            "agent-dispatch:policy/host": super::agent_dispatch::policy::host,
        },
    });
}

/// The world of dialogue policies.
pub(super) mod dialogue {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "dialogue-policy",
        with: {
            "agent-dispatch:policy/types": super::agent_dispatch::policy::types,
            "agent-dispatch:policy/host": super::agent_dispatch::policy::host,
        },
    });
}
