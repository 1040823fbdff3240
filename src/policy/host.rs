//! From a [`Source`] to something that can be called.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::Compiler;
use super::component::Linked;
use super::component::{self, Loaded};
use super::error::{Failure, PolicyError};
use super::metadata::Metadata;
use super::ready::Ready;
use super::source::{self, ComponentSource, Read, Source, Stamp, Unread};
use super::{engine, versions};
use crate::lock::lock;

/// How long somebody is waited for who seems to be writing a component, and how often it is
/// looked at meanwhile.
const PATIENCE: Duration = Duration::from_millis(300);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The host of all policies of a process: one engine, started by the first call.
pub struct Host {
    compiler: Compiler,
    engine: OnceLock<Result<Engine, String>>,
    places: Mutex<HashMap<(ComponentSource, &'static str), Arc<Place>>>,
    /// Kind, digest and config of what has passed its `check`.
    checked: Mutex<HashSet<(&'static str, String, String)>>,
}

/// Where a component of some source is kept for one kind.
struct Place {
    latest: Mutex<Option<Arc<Loaded>>>,
    /// One loads at a time: however many calls wait for a slow compilation, it
    /// takes one thread.
    turn: Arc<Semaphore>,
}

impl Host {
    /// A host that compiles with `executable compile-policy` and keeps compiled
    /// components in `folder`. Nothing happens before the first call.
    pub fn new(executable: PathBuf, folder: PathBuf) -> Self {
        Self {
            compiler: Compiler::new(executable, folder),
            engine: OnceLock::new(),
            places: Mutex::default(),
            checked: Mutex::default(),
        }
    }

    /// The component of `source`, ready for calls of `kind`. Reads, compiles and
    /// links it where that was not done for these very bytes.
    pub(super) async fn load(
        self: &Arc<Self>,
        source: &Source,
        kind: &'static str,
    ) -> Result<Arc<Loaded>, PolicyError> {
        let place = self.place(source, kind);
        // Nothing on disk has to be looked at.
        if let (Some(loaded), ComponentSource::BuiltIn(_)) =
            (&*lock(&place.latest), &source.component)
        {
            return Ok(Arc::clone(loaded));
        }
        let turn = Arc::clone(&place.turn).acquire_owned().await;
        let host = Arc::clone(self);
        let wanted = source.clone();
        let loading = tokio::task::spawn_blocking(move || {
            // Held to the end of the loading, also where its caller is gone.
            let _turn = turn;
            let found = lock(&place.latest).clone();
            let loaded = match found {
                Some(loaded) if wanted.component.is_unchanged(&loaded.stamp) => loaded,
                found => Arc::new(host.load_now(&wanted, kind, found)?),
            };
            *lock(&place.latest) = Some(Arc::clone(&loaded));
            Ok(loaded)
        });
        loading.await.unwrap_or_else(|error| {
            let failure = Failure::Host(format!("loading was lost: {error}"));
            Err(source.error(Arc::default(), failure))
        })
    }

    /// The digest of the component that the next call of `kind` would use, in
    /// hexadecimal; none where it cannot be read. Blocks: one look at its file, or a
    /// reading of it where that was not loaded yet.
    pub fn digest(&self, source: &Source, kind: &'static str) -> Option<String> {
        let latest = lock(&self.place(source, kind).latest).clone();
        match latest {
            Some(loaded) if source.component.is_unchanged(&loaded.stamp) => {
                Some(loaded.identity.digest.clone())
            }
            // Whoever is writing is not waited for here.
            _ => Some(source.component.read(kind).ok()?.digest),
        }
    }

    fn place(&self, source: &Source, kind: &'static str) -> Arc<Place> {
        let mut places = lock(&self.places);
        let key = (source.component.clone(), kind);
        // A bound, not a cache policy: a component that was forgotten is loaded again.
        if places.len() >= 64 && !places.contains_key(&key) {
            places.clear();
        }
        Arc::clone(places.entry(key).or_insert_with(|| {
            Arc::new(Place { latest: Mutex::default(), turn: Arc::new(Semaphore::new(1)) })
        }))
    }

    /// Reads, compiles and links. Who is just writing the file is waited for, but not for long.
    fn load_now(
        &self,
        source: &Source,
        kind: &'static str,
        found: Option<Arc<Loaded>>,
    ) -> Result<Loaded, PolicyError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let read = read(source, kind, found.is_some(), deadline)?;
            // A file that was touched and not changed.
            if let Some(found) = &found
                && found.identity.digest == read.digest
            {
                let (identity, instance) = (Arc::clone(&found.identity), found.instance.clone());
                let version = found.version;
                return Ok(Loaded { identity, stamp: read.stamp, instance, version });
            }
            let Metadata { identity, is_cut_off, .. } = Metadata::of(&read.bytes, &read.digest);
            let identity = Arc::new(identity);
            match self.link(&read, kind) {
                Ok((instance, version)) => {
                    return Ok(Loaded { identity, stamp: read.stamp, instance, version });
                }
                // The first half of what somebody writes looks like this.
                Err(_) if is_cut_off && changes(source, &read.stamp, deadline) => {}
                Err(failure) => {
                    let failure = if is_cut_off { cut_off(failure, &read) } else { failure };
                    return Err(source.error(identity, failure));
                }
            }
        }
    }

    fn link(&self, read: &Read, kind: &'static str) -> Result<Linked, Failure> {
        component::check_beginning(&read.bytes)?;
        let engine = self.engine()?;
        let component = self.compiler.load(engine, &read.bytes, &read.digest)?;
        component::link(engine, &component, kind, versions::ALL)
    }

    /// Loads a policy as the calls of this kind do, its config checked, and says what it is.
    ///
    /// # Errors
    ///
    /// Anything that keeps the policy from being used.
    pub async fn loads(
        self: &Arc<Self>,
        source: &Source,
        kind: &'static str,
    ) -> Result<Loadable, PolicyError> {
        let ready = Ready::load(self, source, kind).await?;
        Ok(Loadable { title: ready.title(), digest: ready.digest().to_owned() })
    }

    /// These bytes, compiled. Blocks, the first time for seconds.
    pub(super) fn compiled(
        &self,
        bytes: &[u8],
        digest: &str,
    ) -> Result<(Engine, Component), Failure> {
        let engine = self.engine()?;
        Ok((engine.clone(), self.compiler.load(engine, bytes, digest)?))
    }

    fn engine(&self) -> Result<&Engine, Failure> {
        self.engine
            .get_or_init(|| engine::runtime().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| Failure::Host(format!("cannot start the WASM engine: {error}")))
    }

    /// True when this config has passed the check of this component before.
    pub(super) fn is_checked(&self, kind: &'static str, loaded: &Loaded, config: &str) -> bool {
        lock(&self.checked).contains(&checked(kind, loaded, config))
    }

    pub(super) fn set_checked(&self, kind: &'static str, loaded: &Loaded, config: &str) {
        let mut all = lock(&self.checked);
        // A bound, not a cache policy: nobody has that many policies.
        if all.len() >= 1024 {
            all.clear();
        }
        all.insert(checked(kind, loaded, config));
    }
}

/// A policy that can be used.
#[derive(Debug)]
pub struct Loadable {
    /// Its name and, in brackets, which component it is.
    pub title: String,
    /// The digest of the component, in hexadecimal.
    pub digest: String,
}

/// Reads a component. One that was there before and is gone may be about to be replaced.
fn read(
    source: &Source,
    kind: &'static str,
    was_there: bool,
    deadline: Instant,
) -> Result<Read, PolicyError> {
    let read = || {
        source.component.read(kind).map_err(|unread| match unread {
            Unread::Failed(failure) if was_there && Instant::now() < deadline => {
                Unread::ForNow(failure)
            }
            other => other,
        })
    };
    source::waiting(read).map_err(|unread| source.error(Arc::default(), unread.failure()))
}

/// Is the file changed within this time, if somebody has only just written to it?
fn changes(source: &Source, stamp: &Stamp, deadline: Instant) -> bool {
    if stamp.as_ref().is_none_or(source::Stamps::is_settled) {
        return false;
    }
    while !source.component.is_another(stamp) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK_AGAIN);
    }
    true
}

/// What is wrong with a component that ends too early, and what to do about it.
fn cut_off(failure: Failure, read: &Read) -> Failure {
    match failure {
        Failure::Compile(reason) => Failure::Compile(format!(
            "{reason}. It ends after {} bytes, as one does that is only half written: build or copy it again, and the next call uses it",
            read.bytes.len()
        )),
        other => other,
    }
}

fn checked(kind: &'static str, loaded: &Loaded, config: &str) -> (&'static str, String, String) {
    (kind, loaded.identity.digest.clone(), config.to_owned())
}
