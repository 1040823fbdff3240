//! What can go wrong in this room.

use std::path::{Path, PathBuf};

use super::problem::{Problem, write_place};
use super::words;

/// The config file could not be understood at all, so nothing can be answered.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system did not give the file.
    #[error("could not read the config {}: {source}", file.display())]
    Unreadable {
        /// The config file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is something else than a file.
    #[error("could not read the config {}: it is {what}, not a file", file.display())]
    NotAFile {
        /// The config file.
        file: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The text is no config.
    #[error("could not load the config {}: {message}", place(file, *line, *column))]
    Invalid {
        /// The config file.
        file: PathBuf,
        /// Where it is wrong, if known; counts from 1.
        line: Option<usize>,
        /// Where in the line, if known, in characters; counts from 1.
        column: Option<usize>,
        /// What is wrong.
        message: String,
    },
}

impl LoadError {
    /// What to do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "Check that you may read this file and its folder; AGENT_DISPATCH_CONFIG names another one."
            }
            Self::NotAFile { .. } => "Set AGENT_DISPATCH_CONFIG to the path of a YAML file.",
            Self::Invalid { .. } => {
                "Correct the file and try again; it is read anew on every call. 'agent-dispatch list' checks it."
            }
        }
    }
}

fn place(file: &Path, line: Option<usize>, column: Option<usize>) -> String {
    let mut place = String::new();
    // Writing to a String does not fail.
    let _ = write_place(&mut place, file, line, column);
    place
}

/// An agent that cannot be dispatched to.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is no agent of that name.
    #[error("Unknown agent: {}. Available: {}", words::quoted(name), listed(available))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The agents that can be dispatched to, in the order of the file.
        available: Vec<String>,
    },
    /// Its entry in the config is wrong.
    #[error("agent '{name}' is disabled: {problem}")]
    Disabled {
        /// The name that was asked for.
        name: String,
        /// What is wrong.
        problem: Box<Problem>,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "(none configured)".to_owned();
    }
    names.join(", ")
}
