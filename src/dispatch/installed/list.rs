//! Which policies there are, where they come from, and who uses them.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{POLICIES, choices, shown};
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::dispatch::reply::Refusal;
use crate::policy::{self, Failure, Installed, KINDS, Lock, Metadata};

/// One policy.
#[derive(Debug, Serialize)]
pub struct PolicyEntry {
    /// The name by which it is chosen.
    pub name: String,
    /// The kinds of policy that it is.
    pub kinds: Vec<&'static str>,
    /// How its component is kept.
    pub state: PolicyState,
    /// What its component calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The version that its component says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The digest of its component, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its component's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Who chooses it.
    pub used_by: Vec<PolicyUse>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How a policy's component is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyState {
    /// It is part of this program.
    BuiltIn,
    /// It is used as it was installed.
    Installed,
    /// Its file is used as it is.
    Followed,
    /// It was installed, and is another one now: it is not used.
    Changed,
    /// Its file is not there.
    Missing,
    /// It cannot be read, or its entry is wrong.
    Unusable,
    /// It is installed, and the config does not name it any more.
    LeftOver,
}

/// Somebody who chooses a policy.
#[derive(Debug, Serialize)]
pub struct PolicyUse {
    /// The agent; absent, it is the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What for.
    pub kind: &'static str,
}

impl PolicyUse {
    /// The same as people read it.
    pub fn shown(&self) -> String {
        shown(&crate::config::Choice { agent: self.agent.clone(), kind: self.kind })
    }
}

impl Dispatcher {
    /// All policies: the built-in ones, and those of the config. None is run.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config cannot be read.
    pub async fn list_policies(self: &Arc<Self>) -> Result<Vec<PolicyEntry>, Refusal> {
        let this = Arc::clone(self);
        self.look(POLICIES, move || Ok(entries(&*this.load()?))).await
    }
}

fn entries(config: &Config) -> Vec<PolicyEntry> {
    let mut names: Vec<&str> = Vec::new();
    for name in KINDS.into_iter().flat_map(policy::built_in_names) {
        if !names.contains(&name) && !has_component(config, name) {
            names.push(name);
        }
    }
    let mut entries: Vec<PolicyEntry> =
        names.into_iter().map(|name| built_in(config, name)).collect();
    let installed = Installed::beside(&config.file);
    let lock = installed.lock();
    for (name, _) in config.policies.iter() {
        if !entries.iter().any(|entry| entry.name == name) {
            entries.push(own(config, name, &installed, &lock));
        }
    }
    let has_entry = |name: &str| config.policies.get(name).is_some();
    for name in lock.iter().flat_map(Lock::names).filter(|name| !has_entry(name)) {
        entries.push(PolicyEntry {
            file: Some(installed.component(name)),
            digest: lock.as_ref().ok().and_then(|lock| Some(lock.line(name)?.sha256.clone())),
            ..bare(config, name, PolicyState::LeftOver)
        });
    }
    entries
}

fn has_component(config: &Config, name: &str) -> bool {
    matches!(config.policy(name), Some(Err(_)))
        || matches!(config.policy(name), Some(Ok(entry)) if entry.component.is_some())
}

fn bare(config: &Config, name: &str, state: PolicyState) -> PolicyEntry {
    let used_by = choices(config, name).into_iter();
    PolicyEntry {
        name: name.to_owned(),
        kinds: Vec::new(),
        state,
        component: None,
        version: None,
        digest: None,
        file: None,
        used_by: used_by
            .map(|choice| PolicyUse { agent: choice.agent, kind: choice.kind })
            .collect(),
        problem: None,
    }
}

fn built_in(config: &Config, name: &str) -> PolicyEntry {
    let is_one = |kind: &&str| policy::built_in_names(kind).any(|built_in| built_in == name);
    PolicyEntry {
        kinds: KINDS.into_iter().filter(is_one).collect(),
        ..bare(config, name, PolicyState::BuiltIn)
    }
}

/// A policy of the config.
fn own(
    config: &Config,
    name: &str,
    installed: &Installed,
    lock: &Result<Lock, String>,
) -> PolicyEntry {
    let problem = match config.policy(name) {
        Some(Ok(entry)) => match &entry.component {
            Some(path) => return of_file(config, name, path.clone(), installed, lock),
            None => "it has no component, and no built-in policy has its name".to_owned(),
        },
        Some(Err(problem)) => problem.to_string(),
        None => return bare(config, name, PolicyState::Unusable),
    };
    PolicyEntry { problem: Some(problem), ..bare(config, name, PolicyState::Unusable) }
}

fn of_file(
    config: &Config,
    name: &str,
    path: PathBuf,
    installed: &Installed,
    lock: &Result<Lock, String>,
) -> PolicyEntry {
    let read = Metadata::read(&path);
    let kept = installed.name_of(&path);
    let line = match (kept, lock) {
        (Some(kept), Ok(lock)) => lock.line(kept).cloned(),
        _ => None,
    };
    let (state, problem) = match (&read, kept, lock) {
        (Err(_), ..) if !path.exists() => (PolicyState::Missing, None),
        (Err(failure), ..) => (PolicyState::Unusable, Some(failure.to_string())),
        (_, Some(_), Err(problem)) => (PolicyState::Unusable, Some(problem.clone())),
        (Ok((metadata, _)), ..) => match &line {
            None => (PolicyState::Followed, None),
            Some(line) if line.vouches_for(&metadata.identity.digest) => {
                (PolicyState::Installed, None)
            }
            Some(line) => {
                let failure = Failure::changed(
                    kept.unwrap_or(name),
                    &path,
                    &line.sha256,
                    &metadata.identity.digest,
                );
                (PolicyState::Changed, Some(failure.to_string()))
            }
        },
    };
    let (metadata, _) = read.unwrap_or_default();
    let identity = metadata.identity;
    PolicyEntry {
        kinds: metadata.kinds,
        component: identity.name,
        version: identity.version,
        digest: Some(identity.digest).filter(|digest| !digest.is_empty()),
        file: Some(path),
        problem,
        ..bare(config, name, state)
    }
}
