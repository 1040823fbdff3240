//! Why a file was not edited.

use std::path::PathBuf;

use crate::config::error::{LoadError, LookupError};

/// The file was not edited, and is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It cannot be read or understood; such a file is never written to.
    #[error("{0}; it was not changed")]
    Unloadable(#[from] LoadError),
    /// There is an agent of that name.
    #[error("there is an agent '{name}' already")]
    Taken {
        /// Its name.
        name: String,
    },
    /// There is no agent of that name.
    #[error(transparent)]
    Lookup(LookupError),
    /// Somebody else kept the file locked for too long.
    #[error("the config was not changed: another process has held its lock {} for {seconds} s", lock.display())]
    Locked {
        /// The file that is locked.
        lock: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// No way was found that changes this and nothing else.
    #[error("the config {} was not changed: it is written in a way in which this cannot be edited safely", file.display())]
    Uneditable {
        /// The config file.
        file: PathBuf,
        /// What to do instead.
        by_hand: String,
    },
    /// Its owner wants no changes.
    #[error("the config {} was not changed: nobody may write to it", file.display())]
    ReadOnly {
        /// The config file.
        file: PathBuf,
    },
    /// The system refused.
    #[error("the config was not changed: {doing} {} failed: {source}", file.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What it was done to.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The thread that edits is gone.
    #[error("the edit was lost: {0}")]
    Lost(String),
}

impl EditError {
    /// What to do now.
    pub fn hint(&self) -> String {
        match self {
            Self::Unloadable(error) => error.hint().to_owned(),
            Self::Taken { name } => format!(
                "Choose another name, or take that one out first with 'agent-dispatch remove {name}'."
            ),
            Self::Lookup(_) => "'agent-dispatch list' names the agents.".to_owned(),
            Self::Locked { .. } => {
                "Try again; if it stays so, find out which process has that file open and end it."
                    .to_owned()
            }
            Self::Uneditable { by_hand, .. } => by_hand.clone(),
            Self::ReadOnly { file } => {
                format!("Give yourself the right first: chmod u+w {}", shell_word(file))
            }
            Self::Io { .. } => {
                "Look at the free space there, and at who may write to the folder.".to_owned()
            }
            Self::Lost(_) => "'agent-dispatch list' shows what is in the config now.".to_owned(),
        }
    }
}

fn shell_word(file: &std::path::Path) -> String {
    let text = file.display().to_string();
    shlex::try_quote(&text).map(Into::into).unwrap_or(text)
}
