//! The versions of the interface that this host speaks.
//!
//! This room thinks in the words of the newest, which `bindings` generates. A frozen version
//! that is older keeps bindings of its own, and here is where what crosses is converted: a
//! policy that was built against it goes on working.

mod v0_1;

use wasmtime::Store;
use wasmtime::component::{Linker, Resource};

use super::bindings::PACKAGE;
use super::component::Loaded;
use super::project::View;
use super::ready::Returned;
use super::state::State;
use super::{aggregate, describe, dialogue, prompt};

/// All of them, the newest first.
pub(super) const ALL: &[&dyn Version] = &[&v0_1::V0_1];

/// One version: how its components are linked and called. Each call is one of a fresh
/// instance.
pub(super) trait Version: Send + Sync {
    /// As it stands behind the `@`.
    fn number(&self) -> &'static str;

    /// What its components may import of this host.
    fn add_to_linker(&self, linker: &mut Linker<State>) -> wasmtime::Result<()>;

    /// Has a policy of this kind check its config.
    fn check(&self, call: &mut Call<'_>, kind: &'static str) -> Returned<()>;

    /// Has a prompt policy put a request into words.
    fn render(&self, call: &mut Call<'_>, request: &prompt::Request) -> Returned<prompt::Rendered>;

    /// Has a prompt policy say what a reply means.
    fn interpret(
        &self,
        call: &mut Call<'_>,
        request: &prompt::Request,
        reply: &prompt::Reply,
    ) -> Returned<prompt::Interpretation>;

    /// Has a describe policy describe a project.
    fn describe(&self, call: &mut Call<'_>, project: Resource<View>) -> Returned<describe::Said>;

    /// Asks an aggregate policy what happens next.
    fn aggregate(
        &self,
        call: &mut Call<'_>,
        seen: &aggregate::Seen,
    ) -> Returned<aggregate::Decision>;

    /// Asks a dialogue policy what happens next.
    fn dialogue(&self, call: &mut Call<'_>, seen: &dialogue::Seen) -> Returned<dialogue::Decision>;
}

/// What a call is made of.
pub(crate) struct Call<'c> {
    pub(super) store: &'c mut Store<State>,
    pub(super) loaded: &'c Loaded,
    pub(super) config: &'c str,
}

/// The versions by their numbers, for messages.
pub(super) fn numbers(versions: &[&dyn Version]) -> String {
    versions.iter().map(|version| version.number()).collect::<Vec<_>>().join(", ")
}

/// The newest of these versions in which a component offers `kind`: what it offers is told
/// by the names of its exports.
pub(super) fn find<'v>(
    versions: &[&'v dyn Version],
    exports: &[(&str, &str)],
    kind: &str,
) -> Option<&'v dyn Version> {
    versions.iter().copied().find(|version| {
        exports.iter().any(|(name, offered)| *name == kind && fits(offered, version.number()))
    })
}

/// Is this a version that the host speaks?
pub(super) fn speaks(offered: &str) -> bool {
    ALL.iter().any(|version| fits(offered, version.number()))
}

/// Versions `0.1.x` are one track; which of two is newer does not matter, as a
/// version only ever adds what a host or guest may leave out.
fn fits(offered: &str, spoken: &str) -> bool {
    let track = |version: &str| version.rsplit_once('.').map(|(track, _)| track.to_owned());
    track(offered) == track(spoken) && !offered.contains('-')
}

/// What a component exports of this package: names and versions.
pub(super) fn exported<'a>(exports: impl Iterator<Item = &'a str>) -> Vec<(&'a str, &'a str)> {
    exports.filter_map(|export| export.strip_prefix(PACKAGE)?.split_once('@')).collect()
}

#[cfg(test)]
mod tests;
