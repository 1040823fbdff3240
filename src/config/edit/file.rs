//! Locking the file and replacing it.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::EditError;
use crate::private_file;

/// How often a lock that somebody has is tried again. The system tells nobody that a file
/// was unlocked without holding up a thread.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// Most symbolic links that lead from one to the next: the system's own limit.
const LINKS: usize = 40;

/// Locks the config against other edits, by the Python tool too: its lock is the file
/// `<name>.lock` beside the path that is configured. Where that is a symbolic link the
/// file itself is locked as well: it may be configured under two names.
pub(super) async fn lock(config: &Path, patience: Duration) -> Result<Vec<File>, EditError> {
    let deadline = Instant::now() + patience;
    let mut locked = Vec::new();
    for lock in lock_files(config).map_err(failed("finding", config))? {
        loop {
            let path = lock.clone();
            let trying = tokio::task::spawn_blocking(move || try_lock(&path));
            match trying.await.map_err(|error| EditError::Lost(error.to_string()))? {
                Ok(Some(file)) => {
                    locked.push(file);
                    break;
                }
                Ok(None) if Instant::now() < deadline => tokio::time::sleep(TRY_AGAIN).await,
                Ok(None) => return Err(EditError::Locked { lock, seconds: patience.as_secs() }),
                Err(source) => return Err(failed("locking", &lock)(source)),
            }
        }
    }
    Ok(locked)
}

/// In the order in which all lock them.
fn lock_files(config: &Path) -> io::Result<Vec<PathBuf>> {
    let beside = |path: &Path| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        path.with_file_name(name)
    };
    let mut locks = vec![beside(config)];
    let target = target(config)?;
    if target != config && config.is_symlink() {
        locks.push(beside(&target));
    }
    Ok(locks)
}

/// None where somebody else has it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        private_file::create_folder(folder)?;
    }
    let file = private_file::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the config in one step, unless there is something of that name.
pub(super) fn create(config: &Path, bytes: &[u8]) -> Result<bool, EditError> {
    let target = target(config).map_err(failed("finding", config))?;
    if target.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let folder = target.parent().unwrap_or(Path::new("/"));
    let made = private_file::create_folder(folder).and_then(|()| {
        let mut new = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        match new.persist_noclobber(&target) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    });
    made.map_err(failed("making", &target))
}

/// Refuses a config that its owner has closed: renaming would go over that.
pub(super) fn refuse_closed(config: &Path) -> Result<(), EditError> {
    let target = target(config).map_err(failed("finding", config))?;
    match target.metadata() {
        Ok(present) if present.mode() & 0o222 == 0 => Err(EditError::ReadOnly { file: target }),
        _ => Ok(()),
    }
}

/// Replaces the config in one step. It keeps its mode and, where that is possible, its
/// owner; a new one is for this user alone.
pub(super) fn replace(config: &Path, bytes: &[u8]) -> Result<(), EditError> {
    refuse_closed(config)?;
    let target = target(config).map_err(failed("finding", config))?;
    let present = match target.metadata() {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(failed("looking at", &target)(error)),
    };
    write(&target, present.as_ref(), bytes).map_err(failed("writing", &target))
}

fn write(target: &Path, present: Option<&Metadata>, bytes: &[u8]) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("/"));
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(target.file_name().unwrap_or_default());
    // Gone again where anything fails, and for this user alone from its first moment.
    let mut next = tempfile::Builder::new().prefix(&prefix).tempfile_in(folder)?;
    next.write_all(bytes)?;
    if let Some(present) = present {
        // Before the mode: giving a file away takes bits from it. Where it cannot be given
        // back it is the editor's.
        let _ = fchown(next.as_file(), Some(present.uid()), Some(present.gid()));
        let mode = present.permissions().mode() & 0o7777;
        next.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    }
    next.as_file().sync_all()?;
    next.persist(target)?;
    // The change is made; a folder that cannot be synced takes nothing of it back.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The file behind symbolic links, which need not exist.
fn target(config: &Path) -> io::Result<PathBuf> {
    let mut path = config.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new("/")).join(link),
            // No link, or nothing at all.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("its symbolic links lead in a circle"))
}

fn failed(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> EditError {
    let file = file.to_owned();
    move |source| EditError::Io { doing, file, source }
}
