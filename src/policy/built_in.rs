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
];

/// The built-in policy of this kind and name.
pub(super) fn find(kind: &str, name: &str) -> Option<&'static BuiltIn> {
    ALL.iter().find(|built_in| built_in.kind == kind && built_in.name == name)
}

/// The names of the built-in policies of a kind.
pub fn names(kind: &str) -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(move |built_in| built_in.kind == kind).map(|built_in| built_in.name)
}
