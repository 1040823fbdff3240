//! What a component exports and imports, and whether this host can run it.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::bindings::PACKAGE;
use super::error::{Failure, Identity};
use super::source::Stamp;
use super::state::State;
use super::versions::{self, Version};
use super::{text, wasi};

/// Foreign packages a component may import: all of them answer with nothing.
/// Guests built with a standard library import them without using them.
const EMPTY_WASI: &[&str] =
    &["wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/", "wasi:sockets/"];

/// How every component begins, and every core module.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Refuses bytes that are no component, in better words than a parser's.
pub(super) fn check_beginning(bytes: &[u8]) -> Result<(), Failure> {
    if bytes.starts_with(COMPONENT) {
        return Ok(());
    }
    Err(Failure::Unusable(if bytes.starts_with(CORE_MODULE) {
        "its file is a core WebAssembly module, not a component: build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`".to_owned()
    } else {
        "its file is no WebAssembly component".to_owned()
    }))
}

/// A component that is ready to be instantiated.
pub(crate) struct Loaded {
    pub(super) identity: Arc<Identity>,
    pub(super) stamp: Stamp,
    pub(super) instance: InstancePre<State>,
    /// The version of the interface that it is called by.
    pub(super) version: &'static dyn Version,
}

/// A component that is linked, and the version of the interface that it is called by.
pub(super) type Linked = (InstancePre<State>, &'static dyn Version);

/// Checks what a compiled component imports and that it exports `kind`, and
/// links it. Shapes are only checked by the first instantiation.
pub(super) fn link(
    engine: &Engine,
    component: &Component,
    kind: &str,
    versions: &[&'static dyn Version],
) -> Result<Linked, Failure> {
    let ty = component.component_type();
    let version = version_of(ty.exports(engine).map(|(name, _)| name), kind, versions)?;
    let imports: Vec<&str> = ty.imports(engine).map(|(name, _)| name).collect();
    check_imports(&imports)?;
    Ok((prepare(engine, component, versions, false)?, version))
}

/// Links a component. Where `trapping`, what it may not import is there and ends the call
/// that uses it, so that more can be learned about it than that.
pub(super) fn prepare(
    engine: &Engine,
    component: &Component,
    versions: &[&'static dyn Version],
    trapping: bool,
) -> Result<InstancePre<State>, Failure> {
    let ty = component.component_type();
    let mut linker = Linker::new(engine);
    let offered = versions.iter().try_for_each(|version| version.add_to_linker(&mut linker));
    let instance = offered.and_then(|()| {
        // Defining WASI costs more than the rest of loading; most guests do not
        // ask for it.
        if ty.imports(engine).any(|(import, _)| import.starts_with("wasi:")) {
            wasi::add_to_linker(&mut linker)?;
        }
        if trapping {
            linker.define_unknown_imports_as_traps(component)?;
        }
        linker.instantiate_pre(component)
    });
    instance.map_err(|error| Failure::misfit(&error))
}

fn check_imports(imports: &[&str]) -> Result<(), Failure> {
    let refused: Vec<&str> = imports.iter().filter(|import| !is_allowed(import)).copied().collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::Unusable(format!(
        "its component imports what no policy may use: {}",
        text::shown(&refused.join(", "), text::SAID)
    )))
}

/// May a policy import this?
pub(super) fn is_allowed(import: &str) -> bool {
    import.starts_with(PACKAGE)
        || (EMPTY_WASI.iter().any(|package| import.starts_with(package))
            && import.contains("@0.2."))
}

fn version_of<'a>(
    exports: impl Iterator<Item = &'a str>,
    kind: &str,
    versions: &[&'static dyn Version],
) -> Result<&'static dyn Version, Failure> {
    let exports = versions::exported(exports);
    if let Some(version) = versions::find(versions, &exports, kind) {
        return Ok(version);
    }
    let made_for: Vec<&str> =
        exports.iter().filter(|(name, _)| *name == kind).map(|(_, version)| *version).collect();
    Err(Failure::Unusable(if !made_for.is_empty() {
        let made_for = text::shown(&made_for.join(", "), text::SAID);
        format!(
            "its component is made for the interface {made_for}; this agent-dispatch offers {}",
            versions::numbers(versions)
        )
    } else if exports.is_empty() {
        format!(
            "its component exports no policy; a {kind} policy exports {PACKAGE}{kind}@{}",
            versions::numbers(versions)
        )
    } else {
        let kinds: Vec<&str> = exports.iter().map(|(name, _)| *name).collect();
        format!(
            "its component is no {kind} policy, but one for: {}",
            text::shown(&kinds.join(", "), text::SAID)
        )
    }))
}
