//! Installing a policy: its component is copied and its digest written down.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Outcome, POLICIES, choices, io, shown};
use crate::config::{Choice, Config, Edit, Locked, NAMES, SetPolicy, expand_path, is_name};
use crate::dispatch::Dispatcher;
use crate::dispatch::choice;
use crate::dispatch::listing;
use crate::dispatch::reply::Refusal;
use crate::policy::{
    self, ComponentSource, Identity, Installed, KINDS, Line, Loadable, Metadata, Source, describe,
    prompt,
};

/// A policy that is to be installed.
#[derive(Debug, Clone, Default)]
pub struct NewPolicy {
    /// What it is to be called.
    pub name: String,
    /// Its component; relative to the working directory, `~` is the home folder.
    pub file: PathBuf,
    /// What it is configured with; absent, what is there stays.
    pub config: Option<Map<String, Value>>,
    /// The agents that choose it, for all that it can be to them.
    pub agents: Vec<String>,
    /// The settings choose it, for all that it can be.
    pub default: bool,
}

/// A policy that was installed.
#[derive(Debug, Serialize)]
pub struct PolicyAdded {
    /// Its name.
    pub added: String,
    /// The kinds of policy that it is.
    pub kinds: Vec<&'static str>,
    /// What its component calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The version that its component says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The digest of its component, in hexadecimal.
    pub digest: String,
    /// The digest of the component that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// Where the component lies now.
    pub file: PathBuf,
    /// Who chooses it now.
    pub chosen_by: Vec<String>,
}

/// A component that loads, with what is to be done about it.
struct Checked {
    new: NewPolicy,
    identity: Identity,
    kinds: Vec<&'static str>,
    bytes: Vec<u8>,
    choices: Vec<Choice>,
}

impl Dispatcher {
    /// Installs a policy: its component is loaded as a call would, and then copied. Nothing
    /// is changed where it does not load.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it cannot be used, its name cannot, or the config cannot be edited.
    pub async fn add_policy(self: &Arc<Self>, new: NewPolicy) -> Result<PolicyAdded, Refusal> {
        let this = Arc::clone(self);
        let looked = self.look(POLICIES, move || {
            let config = this.load()?;
            refuse_name(&new.name)?;
            for agent in &new.agents {
                listing::find(&config, agent)?;
            }
            refuse_other_entry(&config, &new.name)?;
            let new = NewPolicy { file: expand_path(&new.file), ..new };
            let (metadata, bytes) =
                Metadata::read(&new.file).map_err(|failure| refused(&new.name, failure))?;
            Ok((config, new, metadata, bytes))
        });
        let (config, new, metadata, bytes) = looked.await?;
        let Metadata { identity, mut kinds, .. } = metadata;
        kinds.sort_unstable();
        kinds.dedup();
        let source = source(&config, &new);
        // What exports nothing is loaded as one of them all the same: the error says what it is.
        let tried = if kinds.is_empty() { &KINDS[..1] } else { &kinds[..] };
        for kind in tried {
            let loaded = self.policies.loads(&source, kind).await;
            let Loadable { digest, .. } = loaded.map_err(|error| refused(&new.name, error))?;
            if digest != identity.digest {
                let message = format!("{} changed while it was looked at", new.file.display());
                return Err(Refusal::new(message).with_hint("Try again when it is written."));
            }
        }
        let choices = wanted_choices(&new, &kinds)?;
        let checked = Checked { new, identity, kinds, bytes, choices };
        self.with_config(move |locked| install(locked, checked)).await
    }
}

fn refuse_name(name: &str) -> Result<(), Refusal> {
    if !is_name(name) {
        return Err(
            Refusal::new(format!("{name:?} cannot be the name of a policy")).with_hint(NAMES)
        );
    }
    let built_in = KINDS
        .into_iter()
        .find(|kind| policy::built_in_names(kind).any(|built_in| built_in == name));
    match built_in {
        None => Ok(()),
        Some(kind) => {
            let message = format!("'{name}' is the name of a built-in {kind} policy");
            Err(Refusal::new(message).with_hint("Choose another name."))
        }
    }
}

/// An entry that somebody else has written is not taken over.
fn refuse_other_entry(config: &Config, name: &str) -> Result<(), Refusal> {
    let own = Installed::beside(&config.file).component(name);
    let message = match config.policy(name) {
        None => return Ok(()),
        Some(Ok(entry)) if entry.component.as_ref().is_none_or(|path| *path == own) => {
            return Ok(());
        }
        Some(Ok(entry)) => format!(
            "there is a policy '{name}' already, which follows {}",
            entry.component.as_deref().unwrap_or(Path::new("")).display()
        ),
        Some(Err(problem)) => format!("there is a policy '{name}' already, and {problem}"),
    };
    Err(Refusal::new(message).with_hint(format!(
        "Choose another name, or take that entry out first with 'agent-dispatch policy remove {name}'."
    )))
}

/// The component in the place that it comes from, with what it will be configured with.
fn source(config: &Config, new: &NewPolicy) -> Source {
    let entry = config.policy(&new.name).and_then(Result::ok);
    let configured = match (&new.config, entry) {
        (Some(config), _) => Value::Object(config.clone()).to_string(),
        (None, Some(entry)) => entry.config.to_string(),
        (None, None) => "{}".to_owned(),
    };
    Source {
        name: new.name.clone(),
        component: ComponentSource::File(new.file.clone()),
        config: configured,
        limits: choice::limits_of(config, &new.name),
    }
}

fn wanted_choices(new: &NewPolicy, kinds: &[&'static str]) -> Result<Vec<Choice>, Refusal> {
    let of_agents: Vec<&'static str> = kinds
        .iter()
        .copied()
        .filter(|kind| [prompt::KIND, describe::KIND].contains(kind))
        .collect();
    if !new.agents.is_empty() && of_agents.is_empty() {
        let message = format!(
            "an agent cannot choose '{}': it is for {}, and agents choose for prompt and describe",
            new.name,
            kinds.join(" and ")
        );
        return Err(Refusal::new(message).with_hint(
            "Have the settings choose it, or name it in the call: nothing was changed.",
        ));
    }
    let of_agent = |agent: &String| {
        let agent = agent.clone();
        of_agents.iter().map(move |kind| Choice { agent: Some(agent.clone()), kind })
    };
    let of_settings = kinds.iter().filter(|_| new.default);
    let mut wanted: Vec<Choice> = new.agents.iter().flat_map(of_agent).collect();
    wanted.extend(of_settings.map(|kind| Choice { agent: None, kind }));
    Ok(wanted)
}

fn refused(name: &str, error: impl std::fmt::Display) -> Refusal {
    Refusal::new(format!("'{name}' was not added: {error}"))
        .with_hint("Nothing was changed. What it needs is in the error.")
}

/// Writes the lock file, the component and the config, each in one step. Killed in between,
/// this leaves what can be used: the lock file knows the new component before it lies there,
/// and the one that lies there until then; and nothing names the component before it lies
/// there.
fn install(locked: &Locked, checked: Checked) -> Outcome<PolicyAdded> {
    let Checked { new, identity, kinds, bytes, choices: wanted } = checked;
    let NewPolicy { name, config: configured, .. } = new;
    let config = locked.config()?;
    if let Err(refusal) = refuse_other_entry(&config, &name) {
        return Ok(Err(refusal));
    }
    let is_there = matches!(config.policy(&name), Some(Ok(entry)) if entry.component.is_some());
    let edit = Edit::SetPolicy(SetPolicy {
        name: name.clone(),
        component: (!is_there).then(|| format!("./policies/{name}.wasm")),
        config: configured,
        choices: wanted,
    });
    let prepared = if edit.is_empty() { None } else { Some(locked.prepare(&edit)?) };

    let installed = Installed::beside(&config.file);
    let file = installed.component(&name);
    let mut lock = match installed.lock() {
        Ok(lock) => lock,
        Err(problem) => {
            return Ok(Err(Refusal::new(problem).with_hint(
                "Repair it or move it away; without it the components are followed, and can be added again.",
            )));
        }
    };
    let before = lock.line(&name).map(|line| line.sha256.clone());
    let replaced = before.clone().filter(|digest| *digest != identity.digest);
    let line = |was| Some(Line { sha256: identity.digest.clone(), was });
    let lock_file = installed.lock_file();
    lock.set(&name, line(replaced.clone()));
    installed.write(&lock).map_err(io("writing", lock_file))?;
    installed.put(&name, &bytes).map_err(io("writing", &file))?;
    if replaced.is_some() {
        lock.set(&name, line(None));
        installed.write(&lock).map_err(io("writing", lock_file))?;
    }
    if let Some(prepared) = prepared {
        prepared.write()?;
    }
    let chosen_by = choices(&locked.config()?, &name);
    Ok(Ok(PolicyAdded {
        added: name,
        kinds,
        component: identity.name,
        version: identity.version,
        digest: identity.digest,
        replaced,
        file,
        chosen_by: chosen_by.iter().map(shown).collect(),
    }))
}
