//! Asking the describe policy what a project says of itself.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::choice::{self, Chosen, how_to_choose};
use super::reply::Refusal;
use super::{Dispatcher, FILE_PATIENCE, listing, no_answer};
use crate::config::Config;
use crate::policy::describe::{self, Description};
use crate::policy::{PolicyError, Source};

/// What an agent's project says of itself.
#[derive(Debug, Serialize)]
pub struct Described {
    /// The agent's name.
    pub agent: String,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// What a caller reads to choose an agent; one line.
    pub description: String,
    /// The MCP servers that the project configures.
    pub mcp_servers: Vec<String>,
    /// Languages and platforms.
    pub stacks: Vec<String>,
    /// Databases and migration tools.
    pub dbs: Vec<String>,
    /// The policy that said so, and which component it is.
    pub policy: String,
    /// Why the built-in policy stood in for the chosen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_fallback: Option<String>,
}

/// What a policy said of a directory.
pub(super) struct Said {
    pub(super) description: Description,
    pub(super) policy: String,
    pub(super) fallback: Option<String>,
}

impl Dispatcher {
    /// Has the agent's describe policy look at its project afresh.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config cannot be read, there is no such agent, or the policy
    /// failed.
    pub async fn describe(self: &Arc<Self>, name: &str) -> Result<Described, Refusal> {
        let (this, wanted) = (Arc::clone(self), name.to_owned());
        let looked = self.look(name, move || {
            let config = this.load()?;
            let agent = listing::find(&config, &wanted)?;
            listing::refuse_missing(agent)?;
            let policy = chosen(&config, config.describe_policy(agent))?;
            Ok((agent.directory.clone(), policy))
        });
        let (directory, policy) = looked.await?;
        let said = self.ask_describe_policy(&policy, directory.clone(), name).await?;
        let Description { text, mcp_servers, stacks, databases } = said.description;
        Ok(Described {
            agent: name.to_owned(),
            directory,
            description: text,
            mcp_servers,
            stacks,
            dbs: databases,
            policy: said.policy,
            policy_fallback: said.fallback,
        })
    }

    /// Has a describe policy look at a directory, by this door.
    pub(super) async fn ask_describe_policy(
        &self,
        policy: &Chosen,
        directory: PathBuf,
        door: &str,
    ) -> Result<Said, Refusal> {
        let first = match self.ask_one(&policy.source, directory.clone(), door).await? {
            Ok(said) => return Ok(said),
            Err(error) => error,
        };
        let Some(stand_in) = &policy.stand_in else { return Err(refused(&first)) };
        match self.ask_one(stand_in, directory, door).await? {
            Ok(said) => {
                tracing::info!(agent = door, error = %first, "the built-in describe policy stands in");
                let name = choice::stand_in(describe::KIND);
                let fallback = format!("{first}; the built-in '{name}' described the project");
                Ok(Said { fallback: Some(fallback), ..said })
            }
            Err(error) => Err(refused(&error)),
        }
    }

    async fn ask_one(
        &self,
        source: &Source,
        directory: PathBuf,
        door: &str,
    ) -> Result<Result<Said, PolicyError>, Refusal> {
        // Held until nobody looks at the directory any more, which may hang.
        let entered = tokio::time::timeout(FILE_PATIENCE, self.door(door).acquire_owned()).await;
        let entered = entered.map_err(|_| no_answer())?;
        let said = async {
            let policy = self.policies.describe(source).await?;
            let description = policy.describe(directory, entered).await?;
            Ok(Said { description, policy: policy.title(), fallback: None })
        };
        Ok(said.await)
    }
}

/// The describe policy of this name.
pub(super) fn chosen(config: &Config, name: &str) -> Result<Chosen, Refusal> {
    choice::chosen(config, describe::KIND, name)
}

fn refused(error: &PolicyError) -> Refusal {
    Refusal::new(error.to_string()).with_hint(how_to_choose(describe::KIND))
}
