//! Taking a policy out of the config, and its component where it was installed.

use std::sync::Arc;

use serde::Serialize;

use super::{Outcome, POLICIES, choices, io, shown};
use crate::config::{Edit, Locked};
use crate::dispatch::Dispatcher;
use crate::dispatch::reply::Refusal;
use crate::policy::Installed;

/// A policy that was removed.
#[derive(Debug, Serialize)]
pub struct PolicyRemoved {
    /// Its name.
    pub removed: String,
    /// Its component was an installed one, and is gone too.
    pub component_removed: bool,
    /// Who chose it until now.
    pub chosen_by: Vec<String>,
}

impl Dispatcher {
    /// Removes a policy. One that somebody chooses stays, unless these choices go with it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no such policy, somebody chooses it, or the config cannot be
    /// edited.
    pub async fn remove_policy(
        self: &Arc<Self>,
        name: &str,
        with_choices: bool,
    ) -> Result<PolicyRemoved, Refusal> {
        // Where the config cannot even be read nobody is left waiting in the editor.
        let this = Arc::clone(self);
        self.look(POLICIES, move || this.load().map(drop)).await?;
        let name = name.to_owned();
        self.with_config(move |locked| remove(locked, name, with_choices)).await
    }
}

/// First nothing names the component any more, then it goes, and last what vouches for it.
fn remove(locked: &Locked, name: String, with_choices: bool) -> Outcome<PolicyRemoved> {
    let config = locked.config()?;
    let installed = Installed::beside(&config.file);
    let mut lock = match installed.lock() {
        Ok(lock) => lock,
        Err(problem) => {
            return Ok(Err(Refusal::new(problem).with_hint("Repair it or move it away.")));
        }
    };
    let entry = config.policy(&name);
    let was_installed = lock.line(&name).is_some();
    if entry.is_none() && !was_installed {
        let message = format!("there is no policy '{name}' in the config");
        return Ok(Err(
            Refusal::new(message).with_hint("'agent-dispatch policy list' shows those there are.")
        ));
    }
    if matches!(entry, Some(Ok(entry)) if entry.component.is_none()) {
        let message = format!("'{name}' is built in: its entry only says how it is configured");
        return Ok(Err(
            Refusal::new(message).with_hint("Take the entry out of the config by hand.")
        ));
    }
    let chosen_by = choices(&config, &name);
    let listed: Vec<String> = chosen_by.iter().map(shown).collect();
    if !chosen_by.is_empty() && !with_choices {
        let message = format!("'{name}' is chosen by {}", listed.join(", "));
        return Ok(Err(Refusal::new(message).with_hint(format!(
            "Choose another one there first, or have these choices taken out too: agent-dispatch policy remove {name} --force"
        ))));
    }
    let path = installed.component(&name);
    // Somebody else's entry may name the same file.
    let named_elsewhere = config.policies.iter().find(|(other, entry)| {
        *other != name && matches!(entry, Ok(entry) if entry.component.as_ref() == Some(&path))
    });
    if let Some((other, _)) = named_elsewhere.filter(|_| was_installed) {
        let message = format!("the component of '{name}' is that of the policy '{other}' too");
        return Ok(Err(Refusal::new(message)
            .with_hint(format!("Take that one out first: agent-dispatch policy remove {other}"))));
    }
    if entry.is_some() {
        locked.prepare(&Edit::RemovePolicy(name.clone(), chosen_by))?.write()?;
    }
    let mut component_removed = false;
    if was_installed {
        component_removed = installed.take(&name).map_err(io("removing", &path))?;
        lock.set(&name, None);
        installed.write(&lock).map_err(io("writing", installed.lock_file()))?;
    }
    Ok(Ok(PolicyRemoved { removed: name, component_removed, chosen_by: listed }))
}
