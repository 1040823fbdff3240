//! From a [`Source`] to something that can be called.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::Compiler;
use super::component::{self, Loaded};
use super::error::{Failure, PolicyError};
use super::source::{ComponentSource, Source};
use super::{engine, metadata};
use crate::lock::lock;

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

    fn load_now(
        &self,
        source: &Source,
        kind: &'static str,
        found: Option<Arc<Loaded>>,
    ) -> Result<Loaded, PolicyError> {
        let read =
            source.component.read(kind).map_err(|failure| source.error(Arc::default(), failure))?;
        // A file that was touched and not changed.
        if let Some(found) = found
            && found.identity.digest == read.digest
        {
            let (identity, instance) = (Arc::clone(&found.identity), found.instance.clone());
            return Ok(Loaded { identity, stamp: read.stamp, instance });
        }
        let identity = Arc::new(metadata::identity(&read.bytes, &read.digest));
        let instance = component::check_beginning(&read.bytes)
            .and_then(|()| self.engine())
            .and_then(|engine| {
                let component = self.compiler.load(engine, &read.bytes, &read.digest)?;
                component::link(engine, &component, kind)
            })
            .map_err(|failure| source.error(Arc::clone(&identity), failure))?;
        Ok(Loaded { identity, stamp: read.stamp, instance })
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

fn checked(kind: &'static str, loaded: &Loaded, config: &str) -> (&'static str, String, String) {
    (kind, loaded.identity.digest.clone(), config.to_owned())
}
