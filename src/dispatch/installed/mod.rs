//! The config's policies as its owner handles them: installed, taken out, listed.
//!
//! A component that is named by its path follows its file. One that is added here is copied
//! beside the config and changes only by being added again.

mod add;
mod list;
mod remove;

pub use add::{NewPolicy, PolicyAdded};
pub use list::{PolicyEntry, PolicyState, PolicyUse};
pub use remove::PolicyRemoved;

use super::Dispatcher;
use super::additions::edited;
use super::reply::Refusal;
use crate::config::{Choice, Config, EditError, Locked};
use crate::policy::{KINDS, describe, prompt};

/// The door of calls about policies; no agent can have this name.
const POLICIES: &str = "+policies";

/// What came of work on a locked config, or why there was no work to do.
type Outcome<T> = Result<Result<T, Refusal>, EditError>;

impl Dispatcher {
    /// Does this to the config and what lies beside it while nobody else does.
    async fn with_config<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Locked) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let hint = "'agent-dispatch policy list' shows what is there, once it can be read.";
        edited(self.editor.locked(work), hint).await?
    }
}

/// Who chooses this policy.
fn choices(config: &Config, name: &str) -> Vec<Choice> {
    let mut found = Vec::new();
    for agent in config.usable_agents() {
        for (kind, chosen) in
            [(prompt::KIND, &agent.policies.prompt), (describe::KIND, &agent.policies.describe)]
        {
            if chosen.as_deref() == Some(name) {
                found.push(Choice { agent: Some(agent.name.clone()), kind });
            }
        }
    }
    let policies = &config.settings.policies;
    let of_settings =
        [&policies.prompt, &policies.describe, &policies.aggregate, &policies.dialogue];
    for (kind, chosen) in KINDS.into_iter().zip(of_settings) {
        // The defaults are the names of built-in ones, which nobody need have written.
        if chosen == name {
            found.push(Choice { agent: None, kind });
        }
    }
    found
}

/// A choice as people read it.
fn shown(choice: &Choice) -> String {
    match &choice.agent {
        Some(agent) => format!("agent '{agent}' for {}", choice.kind),
        None => format!("settings for {}", choice.kind),
    }
}

/// What the system said about a file beside the config.
fn io(doing: &'static str, file: &std::path::Path) -> impl FnOnce(std::io::Error) -> EditError {
    let file = file.to_owned();
    move |source| EditError::Io { doing, file, source }
}
