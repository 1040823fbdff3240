//! All that can be said about a component, for those who write one: what it is, and
//! everything at once that keeps it from being used.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use wasmtime::Store;

use super::bindings::agent_dispatch::policy::types;
use super::bindings::{PACKAGE, VERSION};
use super::call;
use super::component::{self, Loaded};
use super::error::Failure;
use super::metadata::Metadata;
use super::source::{ComponentSource, Read, Source};
use super::state::State;
use super::text::{SAID, shown};
use super::versions::{self, Call};
use super::{Host, KINDS, limits, metadata};

/// How to get the interface that this host offers.
const FRESH_WIT: &str = "Take the folder wit of a project that 'agent-dispatch policy new NAME --kind prompt --lang rust' makes, and build again.";

/// What was found out about a component.
#[derive(Debug, Default, Serialize)]
pub struct Inspection {
    /// The file, or the name of a built-in policy.
    pub file: String,
    /// SHA-256 of its bytes, in hexadecimal; none where it cannot be read.
    pub digest: Option<String>,
    /// Its size in bytes, where that is known.
    pub bytes: Option<u64>,
    /// What it can serve as.
    pub kinds: Vec<KindFound>,
    /// What it asks of the host.
    pub imports: Vec<Import>,
    /// What it was made with: languages and tools, each with its version.
    pub producers: Vec<String>,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its own version.
    pub version: Option<String>,
    /// What keeps it from being used.
    pub problems: Vec<Problem>,
    /// What is no problem, and good to know.
    pub notes: Vec<String>,
}

/// A kind that a component says it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindFound {
    /// The kind's name.
    pub kind: String,
    /// The version of the interface that it was built against.
    pub version: String,
}

/// Something that a component imports.
#[derive(Debug, Serialize)]
pub struct Import {
    /// The interface.
    pub name: String,
    /// May a policy import it?
    pub allowed: bool,
}

/// Something that keeps a component from being used.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub way_out: String,
}

impl Inspection {
    fn problem(&mut self, problem: impl Into<String>, way_out: impl Into<String>) {
        self.problems.push(Problem { problem: problem.into(), way_out: way_out.into() });
    }

    /// The kinds that this host can have it serve as.
    pub fn usable_kinds(&self) -> impl Iterator<Item = &'static str> {
        KINDS.into_iter().filter(|kind| {
            let fits = |found: &KindFound| found.kind == *kind && versions::speaks(&found.version);
            self.kinds.iter().any(fits)
        })
    }
}

impl Host {
    /// Looks at a component as a call would, and goes on where a call would stop. It has to
    /// serve as `kind` where there is one, and its config is checked for every kind that it
    /// serves; `config_is_given` says that somebody wants this one, and not that there is none.
    pub async fn inspect(
        self: &Arc<Self>,
        source: &Source,
        kind: Option<&'static str>,
        config_is_given: bool,
    ) -> Inspection {
        let (host, wanted) = (Arc::clone(self), source.clone());
        let looking = tokio::task::spawn_blocking(move || host.look_at(&wanted.component, kind));
        let (mut inspection, loaded) = looking.await.unwrap_or_else(|error| {
            let mut inspection = Inspection::default();
            inspection.problem(format!("looking at it was lost: {error}"), "Try again.");
            (inspection, None)
        });
        let Some(loaded) = loaded else { return inspection };
        let kinds: Vec<&str> = inspection.usable_kinds().collect();
        for kind in kinds {
            let config = source.config.clone();
            let check = move |store: &mut Store<State>, loaded: &Loaded| {
                let mut call = Call { store, loaded, config: &config };
                loaded.version.check(&mut call, kind)
            };
            let found = inspection.kinds.iter().map(|found| (&*found.kind, &*found.version));
            let Some(version) = versions::find(versions::ALL, &found.collect::<Vec<_>>(), kind)
            else {
                continue;
            };
            let (identity, instance) = (Arc::clone(&loaded.identity), loaded.instance.clone());
            let stamp = loaded.stamp.clone();
            let loaded = Arc::new(Loaded { identity, stamp, instance, version });
            let name = source.name.clone();
            match call::call(loaded, name, source.limits, check).await {
                Ok(Ok(())) => {}
                Ok(Err(refused)) => refusal(&mut inspection, kind, refused, config_is_given),
                Err(failure) => {
                    let problem = format!("{kind}: check does not answer: {failure}");
                    let way_out = way_out_of(&failure);
                    // The same for each kind where it does not even start.
                    if !inspection.problems.iter().any(|known| problem.ends_with(&known.problem)) {
                        inspection.problem(problem, way_out);
                    }
                }
            }
        }
        inspection
    }

    /// What the bytes say, and the component where it can be instantiated. Blocks.
    fn look_at(
        &self,
        source: &ComponentSource,
        kind: Option<&'static str>,
    ) -> (Inspection, Option<Arc<Loaded>>) {
        let mut found = Inspection::default();
        match source.path() {
            None => source.built_in_name().unwrap_or_default().clone_into(&mut found.file),
            Some(path) => {
                found.file = path.display().to_string();
                found.bytes = path.metadata().ok().map(|file| file.len());
            }
        }
        let read = match Read::of(source, kind) {
            Ok(read) => read,
            Err(failure) => {
                let way_out = match (&failure, source.path()) {
                    (Failure::Changed(_), _) => {
                        "Install what is there with 'agent-dispatch policy add NAME FILE', or put back what was."
                            .to_owned()
                    }
                    (_, Some(path)) => way_to_a_file(&path, found.bytes),
                    (_, None) => "Give a built-in policy's name.".to_owned(),
                };
                found.problem(failure.to_string(), way_out);
                return (found, None);
            }
        };
        found.bytes = Some(read.bytes.len() as u64);
        found.digest = Some(read.digest.clone());
        if let Err(failure) = component::check_beginning(&read.bytes) {
            let way_out =
                "'agent-dispatch policy build' makes components in Rust, JavaScript and Python.";
            found.problem(failure.to_string(), way_out);
            return (found, None);
        }
        let identity = Metadata::of(&read.bytes, &read.digest).identity;
        (found.name, found.version) = (identity.name.clone(), identity.version.clone());
        let surface = metadata::surface(&read.bytes);
        found.producers = surface.producers;
        if let Some(damage) = surface.damage {
            found.problem(
                format!("it cannot be read to its end: {damage}"),
                "Build it again, or copy it again.",
            );
            return (found, None);
        }
        judge_imports(&mut found, surface.imports);
        judge_exports(&mut found, &surface.exports);
        if let Some(kind) = kind.filter(|kind| !found.usable_kinds().any(|usable| usable == *kind))
        {
            let way_out = format!("Build it for the world {kind}-policy, or use it as what it is.");
            found.problem(format!("it does not serve as a {kind} policy"), way_out);
        }
        let is_clean = found.imports.iter().all(|import| import.allowed);
        let prepared = self.compiled(&read.bytes, &read.digest).and_then(|(engine, component)| {
            component::prepare(&engine, &component, versions::ALL, !is_clean)
        });
        match prepared {
            Ok(instance) => {
                let (identity, version) = (Arc::new(identity), versions::ALL[0]);
                (found, Some(Arc::new(Loaded { identity, stamp: read.stamp, instance, version })))
            }
            Err(failure) => {
                let way_out = way_out_of(&failure);
                found.problem(failure.to_string(), way_out);
                (found, None)
            }
        }
    }

    /// The kinds that a component can serve as, in the order of [`KINDS`]. Blocks on reading
    /// its file.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, as a sentence.
    pub fn kinds(component: &ComponentSource) -> Result<Vec<&'static str>, String> {
        if let ComponentSource::BuiltIn(name) = component {
            return Ok(super::built_in_kinds(name).collect());
        }
        let read = Read::of(component, None).map_err(|failure| failure.to_string())?;
        component::check_beginning(&read.bytes).map_err(|failure| failure.to_string())?;
        let mut found = Inspection::default();
        judge_exports(&mut found, &metadata::surface(&read.bytes).exports);
        Ok(found.usable_kinds().collect())
    }
}

fn refusal(found: &mut Inspection, kind: &str, refused: types::PolicyError, is_given: bool) {
    match refused {
        types::PolicyError::InvalidConfig(said) if !is_given => {
            let said = shown(&said, SAID);
            found.notes.push(format!("{kind}: it needs a config; without one it says: {said}"));
        }
        types::PolicyError::InvalidConfig(said) => found.problem(
            format!("{kind}: this config is not usable: {}", shown(&said, SAID)),
            "Correct the config that --config or the policy's entry in agents.yaml gives.",
        ),
        types::PolicyError::Unsupported(said) | types::PolicyError::Failed(said) => found.problem(
            format!("{kind}: check fails: {}", shown(&said, SAID)),
            "Have check say invalid-config where a config is wrong, and nothing else.",
        ),
    }
}

fn judge_imports(found: &mut Inspection, imports: Vec<String>) {
    for name in imports {
        let version = name.strip_prefix(PACKAGE).and_then(|own| own.split_once('@'));
        let other_version = version.filter(|(_, version)| !versions::speaks(version));
        let allowed = component::is_allowed(&name) && other_version.is_none();
        if let Some((_, version)) = other_version {
            let problem =
                format!("it imports {name}; this agent-dispatch offers {VERSION}, not {version}");
            found.problem(problem, FRESH_WIT);
        } else if !allowed {
            found.problem(format!("it imports {name}, which no policy may use"), way_around(&name));
        }
        found.imports.push(Import { name, allowed });
    }
}

/// What to do about an import that is not there.
fn way_around(import: &str) -> &'static str {
    if import.starts_with("wasi:http") {
        "A policy has no network. Where a JavaScript engine brings this along, have fetch-event and http among the disableFeatures of componentize-js."
    } else if import.starts_with("wasi:") {
        "A policy gets what wasi 0.2 has as cli, io, clocks, random, filesystem and sockets, and all of it empty. Build for that version, without what else this needs."
    } else {
        "Take it out of the world that the component is built for: a policy imports its own package alone."
    }
}

fn judge_exports(found: &mut Inspection, exports: &[String]) {
    for export in exports {
        let Some((kind, version)) =
            export.strip_prefix(PACKAGE).and_then(|own| own.split_once('@'))
        else {
            continue;
        };
        if KINDS.contains(&kind) {
            if !versions::speaks(version) {
                let problem = format!(
                    "it is made for {kind} of the interface {version}; this agent-dispatch offers {VERSION}"
                );
                found.problem(problem, FRESH_WIT);
            }
            let (kind, version) = (kind.to_owned(), version.to_owned());
            found.kinds.push(KindFound { kind, version });
        }
    }
    if found.kinds.is_empty() {
        let what = match exports {
            [] => "it exports nothing".to_owned(),
            exports => format!("it exports {}", shown(&exports.join(", "), SAID)),
        };
        let problem = format!("it is no policy: {what}");
        let way_out = format!(
            "A policy exports {PACKAGE}KIND@{VERSION} for one of {}: build it for the world prompt-policy, or that of another kind.",
            KINDS.join(", ")
        );
        found.problem(problem, way_out);
    }
}

fn way_to_a_file(path: &Path, bytes: Option<u64>) -> String {
    match bytes {
        None => "Give the path of a component; 'agent-dispatch policy build' makes one.".to_owned(),
        Some(bytes) if bytes > limits::COMPONENT_BYTES => {
            "Build it without debug information, and optimised for size.".to_owned()
        }
        Some(_) if path.is_dir() => "Give the component's file itself.".to_owned(),
        Some(_) => "Look at the file's permissions, and try again once it is written.".to_owned(),
    }
}

fn way_out_of(failure: &Failure) -> String {
    match failure {
        Failure::Unusable(_) => format!("Build it against the interface {VERSION} as it is. {FRESH_WIT}"),
        Failure::Compile(_) => "Build it with other tools or newer ones: those that 'agent-dispatch policy new NAME --kind prompt --lang rust' sets up make components that compile.".to_owned(),
        Failure::Limit { .. } | Failure::Bound { .. } => {
            "Have check do less: it runs before every first call.".to_owned()
        }
        Failure::Trap { .. } => {
            "Correct what it does when it starts or in check: it must come back whatever the config is.".to_owned()
        }
        _ => "Try again; where it stays so, AGENT_DISPATCH_LOG=debug says more.".to_owned(),
    }
}
