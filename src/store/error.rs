//! Why there is no store.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is damaged, or something else.
    #[error("{} is damaged or no database ({reason}). It is left as it is: move it away, with -wal and -shm beside it, and a new one is made.", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A newer version has changed its format.
    #[error("{} was made by a newer agent-dispatch, in a format that this one ({}) does not know. Use the newer one; sessions that began before it was installed have to begin anew.", file.display(), env!("CARGO_PKG_VERSION"))]
    Newer {
        /// The file.
        file: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{} cannot be used: {reason}. It has to be a file that can be read and written, in a folder that can be, on a disk with room.", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What the system or SQLite says.
        reason: String,
    },
    /// It does not answer in time.
    #[error("{} does not answer: its disk hangs, or other processes keep it locked.", file.display())]
    Silent {
        /// The file.
        file: PathBuf,
    },
}

impl StoreError {
    /// What an error of SQLite means.
    pub(super) fn of(file: &Path, error: &rusqlite::Error) -> Self {
        let (file, reason) = (file.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { file, reason }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Silent { file },
            _ => Self::Unusable { file, reason },
        }
    }

    pub(super) fn io(file: &Path, error: &io::Error) -> Self {
        Self::Unusable { file: file.to_owned(), reason: error.to_string() }
    }

    pub(super) fn silent(file: &Path) -> Self {
        Self::Silent { file: file.to_owned() }
    }
}
