//! A policy of any kind that is loaded and whose config it has accepted.

use std::sync::Arc;

use serde::Serialize;
use wasmtime::Store;

use super::Host;
use super::bindings::agent_dispatch::policy::types;
use super::call;
use super::component::Loaded;
use super::error::{Failure, PolicyError};
use super::limits::{self, Limits};
use super::source::Source;
use super::state::State;
use super::text::{SAID, shown};
use super::versions::Call;
use super::witness::{self, Decided, Given, Input, Witness};

/// What a guest's function returns: its value, its own error, or that of its call.
pub(crate) type Returned<T> = wasmtime::Result<Result<T, types::PolicyError>>;

/// What every kind has in common.
pub(super) struct Ready {
    name: String,
    loaded: Arc<Loaded>,
    config: String,
    pub(super) limits: Limits,
    /// Who hears what it decides.
    pub(super) witness: Option<Witness>,
}

impl Ready {
    /// Loads a policy and has it check its config, unless that was done for this component
    /// and config before.
    pub(super) async fn load(
        host: &Arc<Host>,
        source: &Source,
        kind: &'static str,
    ) -> Result<Self, PolicyError> {
        let ready = Self {
            name: source.name.clone(),
            loaded: host.load(source, kind).await?,
            config: source.config.clone(),
            limits: source.limits,
            witness: None,
        };
        if !host.is_checked(kind, &ready.loaded, &ready.config) {
            if ready.config.len() > limits::CONFIG_BYTES {
                let bound = format!("{} KiB of config", limits::CONFIG_BYTES >> 10);
                return Err(ready.error(Failure::Bound { bound }));
            }
            ready.call(move |call| call.loaded.version.check(call, kind)).await?;
            host.set_checked(kind, &ready.loaded, &ready.config);
        }
        Ok(ready)
    }

    /// The policy's name and, in brackets, which component it is.
    pub(super) fn title(&self) -> String {
        format!("{}{}", self.name, self.loaded.identity)
    }

    /// The digest of the component, in hexadecimal.
    pub(super) fn digest(&self) -> &str {
        &self.loaded.identity.digest
    }

    /// Calls a fresh instance and unfolds the three ways in which that can fail.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut Call<'_>) -> Returned<T> + Send + 'static,
    ) -> Result<T, PolicyError> {
        let (loaded, config) = (Arc::clone(&self.loaded), self.config.clone());
        let body = move |store: &mut Store<State>, loaded: &Loaded| {
            body(&mut Call { store, loaded, config: &config })
        };
        match call::call(loaded, self.name.clone(), self.limits, body).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(refused)) => Err(self.error(match refused {
                types::PolicyError::InvalidConfig(said) => {
                    Failure::InvalidConfig(shown(&said, SAID))
                }
                types::PolicyError::Unsupported(said) => Failure::Unsupported(shown(&said, SAID)),
                types::PolicyError::Failed(said) => Failure::Failed(shown(&said, SAID)),
            })),
            Err(failure) => Err(self.error(failure)),
        }
    }

    /// What a call is given, as somebody wants to hear it; `None` where nobody does.
    pub(super) fn input<R: Serialize, S: Serialize>(
        &self,
        request: Option<&R>,
        reply: Option<&S>,
        situation: Option<&S>,
    ) -> Option<Given> {
        self.witness.as_ref()?;
        let config = serde_json::from_str(&self.config).unwrap_or_default();
        Some(Given(witness::json(&Input { config, request, reply, situation })))
    }

    /// Tells what came of a call with this input.
    pub(super) fn tell<D: Serialize>(
        &self,
        (kind, function): (&'static str, &'static str),
        input: Option<Given>,
        decided: &Result<D, PolicyError>,
    ) {
        if let (Some(witness), Some(Given(input))) = (&self.witness, input) {
            witness(Decided {
                kind,
                function,
                policy: self.name.clone(),
                digest: self.digest().to_owned(),
                input,
                decision: witness::decision(decided),
            });
        }
    }

    pub(super) fn error(&self, failure: Failure) -> PolicyError {
        PolicyError {
            policy: self.name.clone(),
            identity: Arc::clone(&self.loaded.identity),
            failure,
        }
    }
}
