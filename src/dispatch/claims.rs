//! Which server answers a question, where several are asked the same.
//!
//! ```text
//! <state folder>/flights/                 0700
//!     <key>                               0600, locked by the server whose run answers it
//!     <key>.run                           0600, that run's id
//! ```
//!
//! The server that has a question keeps its file, and whoever waits for it hears when it is
//! given back (see [`super::bell`]), by a kill too. The runner does not keep it, unlike what a
//! run has of slots and conversations: what is left of the run of a server that is gone
//! answers nobody, and nothing keeps two runs of one question apart but what they cost.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use super::bell::{self, Bell};
use super::key::Key;
use super::left_behind;
use super::patience::{self, Patience};
use crate::private_file;

/// What the name of the file ends in that says which run it is.
const RUN: &str = "run";

/// The questions that are being answered, over all servers.
pub(super) struct Claims {
    folder: PathBuf,
    swept: Arc<Once>,
    patience: Patience,
    /// It was said that the folder cannot be used.
    is_alone: AtomicBool,
}

/// Who answers a question.
pub(super) enum Turn {
    /// This one, for as long as it has this.
    Ours(Claim),
    /// The run with this id, which may not be known yet, until that rings.
    Theirs(String, Bell),
}

/// The right to answer a question for all who ask it. Dropped, it is given back.
pub(super) struct Claim {
    path: PathBuf,
    _file: File,
}

impl Claims {
    /// Questions whose files lie in this folder, which need not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        let (swept, is_alone) = (Arc::new(Once::new()), AtomicBool::new(false));
        Self { folder, swept, patience: Patience::default(), is_alone }
    }

    /// Claims a question for a run, or says who has it; none where the folder cannot be used
    /// or does not answer.
    pub(super) async fn claim(&self, key: &Key, run: &str) -> Option<Turn> {
        let (folder, path) = (self.folder.clone(), self.folder.join(key.to_string()));
        let (swept, run) = (Arc::clone(&self.swept), run.to_owned());
        let claiming = move || {
            swept.call_once(|| sweep(&folder));
            claim(&path, &run)
        };
        match self.patience.look(claiming).await? {
            Ok(turn) => {
                self.is_alone.store(false, Ordering::Relaxed);
                Some(turn)
            }
            Err(error) => {
                if !self.is_alone.swap(true, Ordering::Relaxed) {
                    tracing::warn!(folder = %self.folder.display(), %error,
                        "runs cannot be shared with other servers: those who ask the same at the same time have one each");
                }
                None
            }
        }
    }
}

impl Claim {
    /// Gives it back, and waits until that is done.
    pub(super) async fn release(self) {
        patience::let_go(self).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Removed while it is locked: who locks it next sees that it is not there.
        let _ = std::fs::remove_file(named_run(&self.path));
        let _ = std::fs::remove_file(&self.path);
    }
}

fn claim(path: &Path, run: &str) -> io::Result<Turn> {
    match bell::hold(path)? {
        Ok(file) => {
            let claim = Claim { path: path.to_owned(), _file: file };
            // Before the agent is started: none of its descendants can see another id.
            let mut named = private_file::open(&named_run(path))?;
            named.set_len(0)?;
            named.write_all(run.as_bytes())?;
            Ok(Turn::Ours(claim))
        }
        Err(bell) => {
            // What cannot be read names nobody.
            let run = std::fs::read_to_string(named_run(path)).unwrap_or_default();
            Ok(Turn::Theirs(run, bell))
        }
    }
}

fn named_run(path: &Path) -> PathBuf {
    path.with_extension(RUN)
}

/// Removes the files that killed servers left behind.
fn sweep(folder: &Path) {
    for path in left_behind::in_folder(folder) {
        let path = path.with_extension("");
        if let Ok(Some(file)) = bell::claim(&path) {
            drop(Claim { path, _file: file });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use tempfile::TempDir;

    use super::*;

    fn files(folder: &Path) -> usize {
        folder.read_dir().expect("a folder").count()
    }

    #[tokio::test]
    async fn one_has_it_and_the_others_hear_when_it_is_given_back() {
        let folder = TempDir::new().expect("a folder");
        let (claims, key) = (Claims::new(folder.path().join("flights")), Key::from([7; 32]));
        let Some(Turn::Ours(claim)) = claims.claim(&key, "first").await else { panic!("nobody") };
        let Some(Turn::Theirs(run, bell)) = claims.claim(&key, "second").await else {
            panic!("both have it");
        };
        assert_eq!(run, "first");
        claim.release().await;
        bell.rings().await;
        let Some(Turn::Ours(claim)) = claims.claim(&key, "second").await else { panic!("nobody") };
        drop(claim);
        assert_eq!(files(&claims.folder), 0);
    }

    #[tokio::test]
    async fn what_killed_servers_left_is_removed_some_day() {
        let folder = TempDir::new().expect("a folder");
        let left = |key: u8, hours: u64| {
            let path = folder.path().join(Key::from([key; 32]).to_string());
            let file = File::create(&path).expect("a file");
            fs::write(named_run(&path), "gone").expect("a file");
            let then = SystemTime::now() - Duration::from_hours(hours);
            file.set_modified(then).expect("another time");
        };
        left(1, 2);
        left(2, 0);
        let claims = Claims::new(folder.path().to_owned());
        drop(claims.claim(&Key::from([3; 32]), "run").await);
        assert_eq!(files(folder.path()), 2, "only those of the second");
        // And that one is nobody's.
        let turn = claims.claim(&Key::from([2; 32]), "run").await;
        assert!(matches!(turn, Some(Turn::Ours(_))));
    }
}
