//! Adding agents to the config, and removing them.
//!
//! All that can be refused is refused first, then a describe policy puts into words what
//! nobody described, and only then the config is edited.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::choice::Chosen;
use super::reply::Refusal;
use super::{Dispatcher, describe};
use crate::config::{Config, Edit, EditError, NAMES, NewAgent, expand_path, is_name};

/// The door of calls that look at directories which are no agents yet; no agent can have
/// this name.
const NEW_AGENTS: &str = "+";

/// How long an edit may take, the editor's own wait for its lock included.
const EDIT_PATIENCE: Duration = Duration::from_secs(40);

/// Longest description that a client can give, in bytes.
const DESCRIPTION_BYTES: usize = 8 << 10;

/// What is said of a path that no config can hold.
pub(super) const NOT_WRITABLE: &str =
    "cannot stand in the config: it is not UTF-8 or has control characters";

/// Who adds an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The owner of the config.
    Owner,
    /// A client, which is a language model: within `settings.agent_roots` only.
    Client,
}

/// An agent that is to be added.
#[derive(Debug, Clone, Default)]
pub struct Newcomer {
    /// Its name.
    pub name: String,
    /// Its directory; relative to the working directory, `~` is the home folder.
    pub directory: PathBuf,
    /// What it is for; blank has the describe policy say it.
    pub description: String,
    /// How long a dispatch may take, in seconds.
    pub timeout_seconds: Option<u32>,
    /// The model to ask for.
    pub model: Option<String>,
}

/// An agent as it is added.
#[derive(Debug, Clone, Serialize)]
pub struct Added {
    /// Its name.
    pub added: String,
    /// Its directory, absolute and without symbolic links.
    pub directory: String,
    /// What it is for.
    pub description: String,
    /// Why the built-in policy described it instead of the chosen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_fallback: Option<String>,
}

/// Agents that can be added.
#[derive(Debug)]
pub struct Additions {
    /// The agents as they will be.
    pub agents: Vec<Added>,
    /// Those that were not described, and why.
    pub undescribed: Vec<(PathBuf, Refusal)>,
    edit: Edit,
}

impl Dispatcher {
    /// Adds an agent to the config.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: as [`Dispatcher::prepare_additions`] and [`Dispatcher::add_prepared`].
    pub async fn add(self: &Arc<Self>, newcomer: Newcomer, by: By) -> Result<Added, Refusal> {
        let mut additions = self.prepare_additions(vec![newcomer], by).await?;
        if let Some((_, refusal)) = additions.undescribed.pop() {
            return Err(refusal.with_more_advice("Or say yourself what it is for."));
        }
        let mut agents = self.add_prepared(additions).await?;
        // One went in.
        agents.pop().ok_or_else(|| Refusal::new("nothing was added"))
    }

    /// Looks at agents that are to be added and describes those that are not described;
    /// one whose description fails keeps no other from being added. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when one of them cannot be added, or no describe policy can be asked.
    pub async fn prepare_additions(
        self: &Arc<Self>,
        newcomers: Vec<Newcomer>,
        by: By,
    ) -> Result<Additions, Refusal> {
        let this = Arc::clone(self);
        let looked = self.look(NEW_AGENTS, move || {
            let config = this.load()?;
            let placed = newcomers.into_iter().map(|newcomer| place(&config, newcomer, by));
            let placed = placed.collect::<Result<Vec<_>, _>>()?;
            let undescribed = placed.iter().any(|new| new.description.is_empty());
            let policy = &config.settings.policies.describe;
            let policy = undescribed.then(|| describe::chosen(&config, policy)).transpose()?;
            Ok((placed, policy))
        });
        let (placed, policy) = looked.await?;
        let (mut described, mut agents, mut undescribed) = (Vec::new(), Vec::new(), Vec::new());
        for mut new in placed {
            let policy_fallback = match &policy {
                Some(policy) if new.description.is_empty() => {
                    match self.describe_newcomer(policy, &mut new).await {
                        Ok(fallback) => fallback,
                        Err(refusal) => {
                            undescribed.push((new.directory, refusal));
                            continue;
                        }
                    }
                }
                _ => None,
            };
            agents.push(Added {
                added: new.name.clone(),
                directory: new.directory.display().to_string(),
                description: new.description.clone(),
                policy_fallback,
            });
            described.push(new);
        }
        Ok(Additions { agents, undescribed, edit: Edit::AddAgents(described) })
    }

    /// Writes them into the config, all or none.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config cannot be edited; it is as it was then.
    pub async fn add_prepared(&self, additions: Additions) -> Result<Vec<Added>, Refusal> {
        self.edit(additions.edit).await?;
        Ok(additions.agents)
    }

    /// Removes an agent from the config. What it runs at the moment goes on.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no such agent or the config cannot be edited; it is as
    /// it was then.
    pub async fn remove(self: &Arc<Self>, name: &str) -> Result<(), Refusal> {
        // Where the config cannot even be read nobody is left waiting in the editor.
        let this = Arc::clone(self);
        self.look(NEW_AGENTS, move || this.load().map(drop)).await?;
        self.edit(Edit::RemoveAgent(name.to_owned())).await
    }

    async fn edit(&self, edit: Edit) -> Result<(), Refusal> {
        let hint = "'agent-dispatch list' shows what is in it, once it can be read.";
        edited(self.editor.apply(edit), hint).await
    }

    async fn describe_newcomer(
        &self,
        policy: &Chosen,
        new: &mut NewAgent,
    ) -> Result<Option<String>, Refusal> {
        let said = self.ask_describe_policy(policy, new.directory.clone(), NEW_AGENTS).await;
        let said = said.map_err(|refusal| {
            let message = format!("'{}' was not described: {}", new.name, refusal.message);
            Refusal { message, ..refusal }
        })?;
        new.description = said.description.text;
        Ok(said.fallback)
    }
}

/// The agent as it would stand in the config. Blocks on the file system.
fn place(config: &Config, newcomer: Newcomer, by: By) -> Result<NewAgent, Refusal> {
    let Newcomer { name, directory, description, timeout_seconds, model } = newcomer;
    if !is_name(&name) {
        return Err(
            Refusal::new(format!("{name:?} cannot be the name of an agent")).with_hint(NAMES)
        );
    }
    if config.agents.get(&name).is_some() {
        return Err(refused(&EditError::Taken { name }));
    }
    let description = description.trim().to_owned();
    if by == By::Client && description.len() > DESCRIPTION_BYTES {
        return Err(Refusal::new(format!(
            "the description has {} bytes; at most {DESCRIPTION_BYTES} are taken: a sentence or two help a caller most",
            description.len()
        )));
    }
    let directory = canonical(&directory)?;
    if by == By::Client {
        refuse_outside(config.settings.agent_roots.as_deref(), &directory)?;
    }
    Ok(NewAgent {
        name,
        directory,
        description,
        timeout: timeout_seconds,
        model,
        ..NewAgent::default()
    })
}

fn canonical(written: &Path) -> Result<PathBuf, Refusal> {
    let shown = written.display();
    let found = expand_path(written).canonicalize().and_then(|directory| {
        if directory.is_dir() { Ok(directory) } else { Err(ErrorKind::NotADirectory.into()) }
    });
    let directory = found.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Refusal::new(format!("the directory {shown} does not exist")),
        ErrorKind::NotADirectory => Refusal::new(format!("{shown} is not a directory")),
        _ => Refusal::new(format!("the directory {shown} cannot be looked at: {error}")),
    })?;
    if is_writable(&directory) {
        Ok(directory)
    } else {
        Err(Refusal::new(format!("the path {shown} {NOT_WRITABLE}")))
    }
}

/// Can this path stand in the config?
pub(super) fn is_writable(path: &Path) -> bool {
    path.to_str().is_some_and(|text| !text.contains(char::is_control))
}

fn refuse_outside(roots: Option<&[PathBuf]>, directory: &Path) -> Result<(), Refusal> {
    let Some(roots) = roots else { return Ok(()) };
    let within = |root: &PathBuf| root.canonicalize().is_ok_and(|root| directory.starts_with(root));
    if roots.iter().any(within) {
        return Ok(());
    }
    let roots = roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>();
    let roots = if roots.is_empty() { "none".to_owned() } else { roots.join(", ") };
    Err(Refusal::new(format!(
        "{} is in none of the directories from which clients may add agents: {roots}",
        directory.display()
    ))
    .with_hint("The owner of the config can add it with 'agent-dispatch add NAME DIRECTORY', or widen `agent_roots` under `settings` in agents.yaml."))
}

/// What came of an edit. `hint` says how one learns it where the file system hangs.
pub(super) async fn edited<T>(
    editing: impl Future<Output = Result<T, EditError>>,
    hint: &str,
) -> Result<T, Refusal> {
    match timeout(EDIT_PATIENCE, editing).await {
        Ok(edited) => edited.map_err(|error| refused(&error)),
        Err(_) => Err(Refusal::new(
            "the file system did not answer, so it is not known whether the config was changed",
        )
        .with_hint(hint)),
    }
}

fn refused(error: &EditError) -> Refusal {
    Refusal::new(error.to_string()).with_hint(error.hint())
}
