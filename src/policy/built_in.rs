//! The policies that come with agent-dispatch: components like any other, built
//! from `plugins/` and embedded.

/// A component in this binary.
#[derive(Debug)]
pub(super) struct BuiltIn {
    /// What the config calls it.
    pub(super) name: &'static str,
    /// The kind it serves under that name.
    pub(super) kind: &'static str,
    /// The component.
    pub(super) bytes: &'static [u8],
}

const ALL: &[BuiltIn] = &[
    BuiltIn {
        name: "classic",
        kind: "prompt",
        bytes: include_bytes!("../../plugins/built/classic.wasm"),
    },
    BuiltIn { name: "xml", kind: "prompt", bytes: include_bytes!("../../plugins/built/xml.wasm") },
    BuiltIn {
        name: "classic",
        kind: "describe",
        bytes: include_bytes!("../../plugins/built/describe-classic.wasm"),
    },
    BuiltIn {
        name: "detailed",
        kind: "describe",
        bytes: include_bytes!("../../plugins/built/describe-detailed.wasm"),
    },
    BuiltIn {
        name: "synthesize",
        kind: "aggregate",
        bytes: include_bytes!("../../plugins/built/aggregate-synthesize.wasm"),
    },
    BuiltIn {
        name: "concatenate",
        kind: "aggregate",
        bytes: include_bytes!("../../plugins/built/aggregate-concatenate.wasm"),
    },
    BuiltIn {
        name: "majority",
        kind: "aggregate",
        bytes: include_bytes!("../../plugins/built/aggregate-majority.wasm"),
    },
    BuiltIn {
        name: "first-success",
        kind: "aggregate",
        bytes: include_bytes!("../../plugins/built/aggregate-first-success.wasm"),
    },
    BuiltIn {
        name: "judge-and-refine",
        kind: "aggregate",
        bytes: include_bytes!("../../plugins/built/aggregate-judge-and-refine.wasm"),
    },
    BuiltIn {
        name: "map-reduce",
        kind: "aggregate",
        bytes: include_bytes!("../../plugins/built/aggregate-map-reduce.wasm"),
    },
    BuiltIn {
        name: "resolved",
        kind: "dialogue",
        bytes: include_bytes!("../../plugins/built/dialogue-resolved.wasm"),
    },
    BuiltIn {
        name: "no-progress",
        kind: "dialogue",
        bytes: include_bytes!("../../plugins/built/dialogue-no-progress.wasm"),
    },
    BuiltIn {
        name: "budget",
        kind: "dialogue",
        bytes: include_bytes!("../../plugins/built/dialogue-budget.wasm"),
    },
];

/// The built-in policy of this kind and name.
pub(super) fn find(kind: &str, name: &str) -> Option<&'static BuiltIn> {
    ALL.iter().find(|built_in| built_in.kind == kind && built_in.name == name)
}

/// The kinds that have a built-in policy of this name.
pub fn kinds(name: &str) -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(move |built_in| built_in.name == name).map(|built_in| built_in.kind)
}

/// The names of the built-in policies of a kind.
pub fn names(kind: &str) -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(move |built_in| built_in.kind == kind).map(|built_in| built_in.name)
}
