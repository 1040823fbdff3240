//! Editing the file: what a person wrote in it stays.
//!
//! An edit is made under the file's lock, to the text as it is then, and is read again
//! before anything is written: `text` makes it, `check` proves that it did what was
//! meant and no more, `file` locks and replaces.

mod check;
mod error;
mod file;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::EditError;

use super::loader::Loader;
use super::model::{AgentPolicies, Config};

/// How long somebody else's edit is waited for, as in the Python tool.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file that nobody has written in yet.
const NEW_FILE: &str = "\
# The projects that agent-dispatch can ask, each an agent with its directory.
# Add one with: agent-dispatch add NAME DIRECTORY
agents: {}
";

/// One change of the file.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Adds agents, all or none.
    AddAgents(Vec<NewAgent>),
    /// Removes the agent of this name.
    RemoveAgent(String),
    /// Gives a policy of this file its component, and has it chosen.
    SetPolicy(SetPolicy),
    /// Removes the policy of this name, where it has an entry, and these choices of it.
    RemovePolicy(String, Vec<Choice>),
}

/// A policy that is to stand in the file.
#[derive(Debug, Clone)]
pub struct SetPolicy {
    /// Its name.
    pub name: String,
    /// The path of its component, as it is written; the entry's own stays where this is absent.
    pub component: Option<String>,
    /// What it is configured with; what is there stays where this is absent.
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
    /// Who chooses it from now on.
    pub choices: Vec<Choice>,
}

/// A place that says which policy of a kind serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The agent that chooses for itself; absent, it is what the settings say.
    pub agent: Option<String>,
    /// The kind.
    pub kind: &'static str,
}

impl Edit {
    /// Is there nothing that it would change?
    pub fn is_empty(&self) -> bool {
        self.paths().is_empty()
    }

    /// The keys whose values the edit changes, each as the keys that lead to it.
    fn paths(&self) -> Vec<Vec<&str>> {
        match self {
            Self::AddAgents(agents) => {
                agents.iter().map(|agent| vec!["agents", agent.name.as_str()]).collect()
            }
            Self::RemoveAgent(name) => vec![vec!["agents", name]],
            Self::SetPolicy(policy) => {
                let of_entry = [
                    ("component", policy.component.is_some()),
                    ("config", policy.config.is_some()),
                ];
                let of_entry = of_entry.iter().filter(|(_, set)| *set);
                let of_entry =
                    of_entry.map(|(key, _)| vec!["policies", policy.name.as_str(), *key]);
                of_entry.chain(policy.choices.iter().map(Choice::path)).collect()
            }
            Self::RemovePolicy(name, choices) => {
                let entry = std::iter::once(vec!["policies", name.as_str()]);
                entry.chain(choices.iter().map(Choice::path)).collect()
            }
        }
    }
}

impl Choice {
    fn path(&self) -> Vec<&str> {
        match &self.agent {
            Some(agent) => vec!["agents", agent, "policies", self.kind],
            None => vec!["settings", "policies", self.kind],
        }
    }
}

/// An agent that is to stand in the file; what is `None` is not written.
#[derive(Debug, Clone, Default)]
pub struct NewAgent {
    /// Its name.
    pub name: String,
    /// The project, an absolute path.
    pub directory: PathBuf,
    /// What it is good for.
    pub description: String,
    /// How long a dispatch may take, in seconds, at least 1.
    pub timeout: Option<u32>,
    /// The model to ask for.
    pub model: Option<String>,
    /// What a dispatch may cost, in US dollars, more than 0.
    pub max_budget_usd: Option<f64>,
    /// The permission mode to run in.
    pub permission_mode: Option<String>,
    /// The tools it may use without being asked.
    pub allowed_tools: Option<Vec<String>>,
    /// The tools it must not use.
    pub disallowed_tools: Option<Vec<String>>,
    /// The policies it chooses.
    pub policies: AgentPolicies,
}

/// Edits one config file. Shared by all callers.
#[derive(Debug)]
pub struct Editor {
    file: PathBuf,
    /// How long the lock is waited for.
    pub(super) patience: Duration,
}

impl Editor {
    /// An editor of this file, which need not exist.
    pub fn new(file: &Path) -> Self {
        Self { file: super::paths::absolute(file.to_owned()), patience: PATIENCE }
    }

    /// Makes the file if there is none, and says whether it did. Blocks.
    ///
    /// # Errors
    ///
    /// [`EditError::Io`] where there is none and none can be made.
    pub fn create(&self) -> Result<bool, EditError> {
        file::create(&self.file, NEW_FILE.as_bytes())
    }

    /// Makes an edit: waits until nobody else edits the file, for 10 seconds at most, and
    /// replaces it in one step. It is done or not done at all, also where the future is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`EditError`]; the file is as it was then.
    pub async fn apply(&self, edit: Edit) -> Result<(), EditError> {
        self.locked(move |locked| locked.prepare(&edit)?.write()).await
    }

    /// Does this work while nobody else edits the file; waits for that as [`Editor::apply`]
    /// does. It is done to its end, also where the future is dropped.
    ///
    /// # Errors
    ///
    /// [`EditError`], also that of the work.
    pub async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Locked) -> Result<T, EditError> + Send + 'static,
    ) -> Result<T, EditError> {
        let file = self.file.clone();
        let locks = file::lock(&file, self.patience).await?;
        let working = tokio::task::spawn_blocking(move || {
            // To the end of the work, also where nobody waits for it any more.
            let _locks = locks;
            work(&Locked { file })
        });
        working.await.unwrap_or_else(|error| Err(EditError::Lost(error.to_string())))
    }
}

/// A file that nobody else edits. What it does blocks.
#[derive(Debug)]
pub struct Locked {
    file: PathBuf,
}

/// An edit that is proved and not written yet.
#[derive(Debug)]
pub struct Prepared<'l> {
    file: &'l Path,
    text: String,
}

impl Locked {
    /// The config as it is now.
    ///
    /// # Errors
    ///
    /// [`EditError::Unloadable`].
    pub fn config(&self) -> Result<Config, EditError> {
        let loader = Loader::new(&self.file);
        let text = loader.read_text()?.unwrap_or_default();
        Ok(loader.understand(&text).map(|(_, config)| config)?)
    }

    /// Makes an edit, and proves that it does what is meant.
    ///
    /// # Errors
    ///
    /// [`EditError`].
    pub fn prepare(&self, edit: &Edit) -> Result<Prepared<'_>, EditError> {
        let file = &self.file;
        let loader = Loader::new(file);
        let before = loader.read_text()?.unwrap_or_default();
        let (tree, config) = loader.understand(&before)?;
        refuse_pointless(&config, edit)?;
        let uneditable = || EditError::Uneditable { file: file.clone(), by_hand: by_hand(edit) };
        let edited = text::apply(&before, edit).ok_or_else(uneditable)?;
        let after = loader.understand(&edited.text).map_err(|_| uneditable())?;
        if !check::did_what_was_meant(tree, after, &edited, edit) {
            return Err(uneditable());
        }
        file::refuse_closed(file)?;
        Ok(Prepared { file, text: edited.text })
    }
}

impl Prepared<'_> {
    /// Replaces the file in one step.
    ///
    /// # Errors
    ///
    /// [`EditError`]; the file is as it was then.
    pub fn write(self) -> Result<(), EditError> {
        file::replace(self.file, self.text.as_bytes())
    }
}

/// Refuses what cannot be meant: an agent that is there already, or one that is not.
fn refuse_pointless(config: &Config, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::AddAgents(agents) => {
            let taken = agents.iter().find(|agent| config.agents.get(&agent.name).is_some());
            taken.map_or(Ok(()), |agent| Err(EditError::Taken { name: agent.name.clone() }))
        }
        Edit::RemoveAgent(name) if config.agents.get(name).is_some() => Ok(()),
        Edit::RemoveAgent(name) => match config.agent(name) {
            Err(error) => Err(EditError::Lookup(error)),
            Ok(_) => Ok(()),
        },
        Edit::SetPolicy(SetPolicy { choices, .. }) => {
            let mut agents = choices.iter().filter_map(|choice| choice.agent.as_deref());
            agents.try_for_each(|agent| config.agent(agent).map(drop).map_err(EditError::Lookup))
        }
        Edit::RemovePolicy(..) => Ok(()),
    }
}

/// What a person would do instead.
fn by_hand(edit: &Edit) -> String {
    match edit {
        Edit::AddAgents(agents) => {
            let text = text::apply("", &Edit::AddAgents(agents.clone()));
            let text = text.map(|edited| edited.text).unwrap_or_default();
            format!("Write this into it by hand:\n{}", text.trim_end())
        }
        Edit::RemoveAgent(name) => {
            format!("Take the entry '{name}' under `agents` out of it by hand.")
        }
        Edit::SetPolicy(policy) => {
            let text = text::apply("", &Edit::SetPolicy(policy.clone()));
            let text = text.map(|edited| edited.text).unwrap_or_default();
            format!("Write this into it by hand:\n{}", text.trim_end())
        }
        Edit::RemovePolicy(name, _) => format!(
            "Take the entry '{name}' under `policies` out of it by hand, and what chooses it."
        ),
    }
}
