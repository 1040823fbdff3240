//! Looking at all that a dispatch needs, without dispatching anything.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::choice::{Chosen, how_to_choose};
use super::listing::{Health, Listing};
use super::reply::Refusal;
use super::{Dispatcher, NO_AGENT};
use crate::agent::ask;
use crate::config::{Config, ProblemKind};
use crate::policy::aggregate::Aggregate;
use crate::policy::dialogue::Dialogue;
use crate::policy::{KINDS, Kind as _, describe, prompt};

/// How long a program may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What it is about.
    pub section: &'static str,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub details: Vec<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Something is to be known, and nothing is in the way of a dispatch.
    Warn,
    /// Something cannot work.
    Fail,
}

impl Check {
    /// A check without advice.
    pub fn new(section: &'static str, status: Status, message: impl Into<String>) -> Self {
        Self { section, status, message: message.into(), details: Vec::new() }
    }

    /// With what to do about it.
    #[must_use]
    pub fn advise(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }
}

impl Dispatcher {
    /// Looks at the config, the agent CLIs, the policies and the agents' directories.
    /// Nothing is spent.
    pub async fn check_up(self: &Arc<Self>) -> Vec<Check> {
        let this = Arc::clone(self);
        let loaded = self.look(NO_AGENT, move || {
            let config = this.load()?;
            let listing = Listing::of(&config);
            Ok((config, listing))
        });
        let (config, listing) = match loaded.await {
            Ok(loaded) => loaded,
            Err(Refusal { message, hint }) => {
                let mut check = Check::new("Config", Status::Fail, message);
                check.details.extend(hint);
                return vec![check];
            }
        };
        let mut checks = config_checks(&config);
        checks.extend(self.cli_checks(&config).await);
        checks.extend(self.policy_checks(&config).await);
        checks.extend(agent_checks(&listing));
        checks
    }

    /// Which version each program is that agents are run with.
    async fn cli_checks(self: &Arc<Self>, config: &Arc<Config>) -> Vec<Check> {
        let mut users: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
        users.entry(&config.settings.command).or_default();
        for agent in config.usable_agents() {
            users.entry(config.command(agent)).or_default().push(&agent.name);
        }
        let mut checks = Vec::new();
        for (command, users) in users {
            let asked = command.to_vec();
            let asked = self.look(NO_AGENT, move || Ok(version(&asked))).await;
            let shown = shlex::try_join(command.iter().map(String::as_str)).unwrap_or_default();
            let check = match asked.unwrap_or_else(|refusal| Err(refusal.message)) {
                Ok(version) => Check::new("Agent CLI", Status::Ok, format!("{shown}: {version}")),
                Err(problem) => {
                    let status = if users.is_empty() { Status::Warn } else { Status::Fail };
                    let check = Check::new("Agent CLI", status, format!("{shown}: {problem}"));
                    check.advise(format!(
                        "Install it, or set `command` in agents.yaml; it runs: {}",
                        if users.is_empty() { "no agent".to_owned() } else { users.join(", ") }
                    ))
                }
            };
            checks.push(check);
        }
        checks
    }

    /// Whether each policy loads as what it is chosen for; one that nobody has chosen, as
    /// anything.
    async fn policy_checks(self: &Arc<Self>, config: &Config) -> Vec<Check> {
        let mut chosen = vec![
            (prompt::KIND, &*config.settings.policies.prompt),
            (describe::KIND, &*config.settings.policies.describe),
            (Aggregate::NAME, &*config.settings.policies.aggregate),
            (Dialogue::NAME, &*config.settings.policies.dialogue),
        ];
        for agent in config.usable_agents() {
            chosen.push((prompt::KIND, config.prompt_policy(agent)));
            chosen.push((describe::KIND, config.describe_policy(agent)));
        }
        chosen.sort_unstable();
        chosen.dedup();
        let mut checks = Vec::new();
        for &(kind, name) in &chosen {
            checks.push(match self.loads(config, kind, name).await {
                Ok(title) => Check::new("Policies", Status::Ok, format!("{kind}: {title}")),
                Err(problem) => {
                    Check::new("Policies", Status::Fail, problem).advise(how_to_choose(kind))
                }
            });
        }
        for (name, _) in config.policies.iter() {
            if chosen.iter().any(|(_, chosen)| *chosen == name) {
                continue;
            }
            checks.push(self.unchosen(config, name).await);
        }
        for (name, entry) in config.policies.iter() {
            let may_ask = entry.as_ref().map_or(&[][..], |entry| &entry.may_ask);
            let unknown = may_ask.iter().filter(|agent| config.agent(agent).is_err());
            checks.extend(unknown.map(|agent| {
                let message = format!("'{name}' may ask '{agent}', which is no usable agent");
                Check::new("Policies", Status::Warn, message)
                    .advise("Correct `may_ask` in its entry.")
            }));
        }
        checks
    }

    /// A policy that nobody chooses: it may be of any kind.
    async fn unchosen(self: &Arc<Self>, config: &Config, name: &str) -> Check {
        let mut problems = Vec::new();
        for kind in KINDS {
            match self.loads(config, kind, name).await {
                Ok(title) => {
                    let message = format!("{kind}: {title}, which nobody chooses");
                    return Check::new("Policies", Status::Ok, message);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let message = format!("{}; nobody chooses it", problems.swap_remove(0));
        Check::new("Policies", Status::Warn, message)
    }

    /// The title of the policy of this kind and name, or why it does not load.
    async fn loads(
        self: &Arc<Self>,
        config: &Config,
        kind: &'static str,
        name: &str,
    ) -> Result<String, String> {
        let Chosen { source, .. } = Chosen::of(config, kind, name)?;
        let loaded = self.policies.loads(&source, kind).await;
        loaded.map(|policy| policy.title).map_err(|error| error.to_string())
    }
}

fn config_checks(config: &Config) -> Vec<Check> {
    let file = config.file.display();
    let mut checks = vec![if config.file.exists() {
        Check::new("Config", Status::Ok, format!("{file} is read"))
    } else {
        Check::new("Config", Status::Warn, format!("{file} does not exist"))
            .advise("'agent-dispatch init' makes it.")
    }];
    checks.extend(config.problems.iter().map(|problem| {
        let status = match problem.kind {
            ProblemKind::DisablesAgent
            | ProblemKind::DisablesPolicy
            | ProblemKind::StopsDispatching => Status::Fail,
            ProblemKind::DefaultApplies
            | ProblemKind::NotBuiltYet
            | ProblemKind::UnknownKey
            | ProblemKind::Duplicate => Status::Warn,
        };
        Check::new("Config", status, problem.to_string())
    }));
    checks
}

fn agent_checks(listing: &Listing) -> Vec<Check> {
    if listing.agents.is_empty() {
        let nothing = listing.nothing_configured();
        let mut check = Check::new("Agents", Status::Warn, nothing.message);
        check.details.extend(nothing.hint);
        return vec![check];
    }
    let is_well = |agent: &&super::AgentEntry| agent.error.is_none();
    let well: Vec<&str> =
        listing.agents.iter().filter(is_well).map(|agent| agent.name.as_str()).collect();
    let mut checks = Vec::new();
    if !well.is_empty() {
        let message = format!("{} can be asked: {}", well.len(), well.join(", "));
        checks.push(Check::new("Agents", Status::Ok, message));
    }
    // What is wrong with an entry stands with the config, and with a policy there.
    let ill = listing.agents.iter().filter(|agent| agent.healthy != Health::Healthy);
    for agent in ill.filter(|agent| !agent.directory.is_empty()) {
        let problem = agent.error.as_deref().unwrap_or("its directory cannot be used");
        let message = format!("{}: {problem}", agent.name);
        checks.push(Check::new("Agents", Status::Fail, message).advise(format!(
            "Correct its `directory`, or take it out with 'agent-dispatch remove {}'.",
            agent.name
        )));
    }
    checks
}

/// What a program says when it is asked for its version.
fn version(command: &[String]) -> Result<String, String> {
    let (program, arguments) = command.split_first().ok_or("there is no program")?;
    let path = which::which(program).map_err(|_| "it is not there, or cannot be run".to_owned())?;
    let mut command = Command::new(path);
    let said = ask::ask(command.args(arguments).arg("--version"), VERSION_PATIENCE);
    let said = said.map_err(|error| error.to_string())?;
    let line: String = said.text.lines().next().unwrap_or_default().chars().take(200).collect();
    if said.success { Ok(line) } else { Err(format!("`--version` failed: {line}")) }
}
