//! Finding projects that could be agents.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::additions::{NOT_WRITABLE, Newcomer, is_writable};
use super::reply::Refusal;
use super::{Dispatcher, NO_AGENT};
use crate::config::{Config, expand_path};

/// Either makes a directory a project.
const SIGNS: [&str; 2] = ["CLAUDE.md", ".git"];

/// What lies in a directory.
#[derive(Debug)]
pub struct Scan {
    /// The projects that could be added, in the order of their names.
    pub found: Vec<Newcomer>,
    /// The projects that could not.
    pub skipped: Vec<Skipped>,
}

/// A project that cannot be added.
#[derive(Debug)]
pub struct Skipped {
    /// Where it is.
    pub directory: PathBuf,
    /// Why it cannot be added.
    pub reason: String,
}

impl Dispatcher {
    /// Looks for projects in the subdirectories of a directory: for those with a
    /// `CLAUDE.md` or a `.git`.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config or the directory cannot be read.
    pub async fn scan(self: &Arc<Self>, directory: PathBuf) -> Result<Scan, Refusal> {
        let this = Arc::clone(self);
        self.look(NO_AGENT, move || {
            let config = this.load()?;
            let projects = projects(&directory).map_err(|error| {
                Refusal::new(format!("cannot look through {}: {error}", directory.display()))
            })?;
            Ok(sorted_out(&config, projects))
        })
        .await
    }
}

/// The subdirectories that are projects, in the order of their names.
fn projects(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = expand_path(directory).canonicalize()?.read_dir()?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if SIGNS.iter().any(|sign| path.join(sign).exists()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Which of them could be added.
fn sorted_out(config: &Config, projects: Vec<PathBuf>) -> Scan {
    let mut agents = HashMap::new();
    for agent in config.usable_agents() {
        let directory = agent.directory.canonicalize();
        agents.insert(directory.unwrap_or_else(|_| agent.directory.clone()), agent.name.clone());
    }
    let mut names: HashSet<String> =
        config.agents.iter().map(|(name, _)| name.to_owned()).collect();
    let mut scan = Scan { found: Vec::new(), skipped: Vec::new() };
    for directory in projects {
        let name = name_of(&directory);
        let real = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        let reason = if let Some(agent) = agents.get(&real) {
            format!("it is the agent '{agent}' already")
        } else if !is_writable(&real) {
            format!("its path {NOT_WRITABLE}")
        } else if name.is_empty() {
            "its name has no letter or digit that the name of an agent can have".to_owned()
        } else if names.contains(&name) {
            format!("the name '{name}' is taken")
        } else {
            names.insert(name.clone());
            agents.insert(real, name.clone());
            scan.found.push(Newcomer { name, directory, ..Newcomer::default() });
            continue;
        };
        scan.skipped.push(Skipped { directory, reason });
    }
    scan
}

/// The directory's name as one for an agent: what such a name cannot have becomes `-`.
fn name_of(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let plain = |character: char| match character {
        '-' | '_' => character,
        _ if character.is_ascii_alphanumeric() => character,
        _ => '-',
    };
    let name: String = name.chars().map(plain).collect();
    name.trim_matches(|character: char| !character.is_ascii_alphanumeric()).to_owned()
}
