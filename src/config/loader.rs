//! Reading the file on every call, and parsing it only when it changed.

use std::fs::{File, FileType, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::error::LoadError;
use super::model::Config;
use super::node::Position;
use super::{paths, read};

/// The largest config file, in bytes.
const LARGEST_FILE: u64 = 8 * 1024 * 1024;

/// How old a change must be before the file's times vouch for its content. Two
/// changes within one tick of a file system's clock leave the same times.
const SETTLED: Duration = Duration::from_secs(2);

/// Gives the config of one file as it is now. Shared by all callers.
#[derive(Debug)]
pub struct Loader {
    file: PathBuf,
    settles_after: Duration,
    latest: Mutex<Option<Loaded>>,
}

/// What was read last.
#[derive(Debug)]
struct Loaded {
    stamp: Stamp,
    bytes: Vec<u8>,
    config: Arc<Config>,
}

impl Loader {
    /// A loader for this file, which need not exist.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: paths::absolute(file.into()),
            settles_after: SETTLED,
            latest: Mutex::new(None),
        }
    }

    /// The config file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The config as it is now; one `stat` if nothing changed. No file is an empty config.
    pub fn load(&self) -> Result<Arc<Config>, LoadError> {
        // A panic while loading leaves nothing half done: the old value is whole.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = match std::fs::metadata(&self.file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                *latest = None;
                return Ok(Arc::new(Config::empty(&self.file)));
            }
            Err(error) => return Err(self.unreadable(error)),
        };
        if let Some(loaded) = &*latest
            && loaded.stamp == Stamp::of(&metadata)
            && loaded.stamp.is_older_than(self.settles_after)
        {
            return Ok(Arc::clone(&loaded.config));
        }
        // Before opening: opening a FIFO would wait for a writer.
        self.refuse_other_than_file(metadata.file_type())?;
        let (stamp, bytes) = self.read()?;
        let config = match latest.take() {
            Some(loaded) if loaded.bytes == bytes => loaded.config,
            _ => Arc::new(self.parse(&bytes)?),
        };
        *latest = Some(Loaded { stamp, bytes, config: Arc::clone(&config) });
        Ok(config)
    }

    /// The content, and the stamp of the opened file from before it was read, so that a
    /// change meanwhile is seen the next time.
    fn read(&self) -> Result<(Stamp, Vec<u8>), LoadError> {
        let file = File::open(&self.file).map_err(|error| self.unreadable(error))?;
        let metadata = file.metadata().map_err(|error| self.unreadable(error))?;
        let mut bytes = Vec::new();
        let mut bounded = file.take(LARGEST_FILE + 1);
        let size = bounded.read_to_end(&mut bytes);
        let size = size.map_err(|error| self.unreadable(error))?;
        if size as u64 > LARGEST_FILE {
            let message = format!(
                "the file is larger than {} MiB, the most that is read",
                LARGEST_FILE / 1024 / 1024
            );
            return Err(self.invalid(None, message));
        }
        Ok((Stamp::of(&metadata), bytes))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Config, LoadError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            self.invalid(Some(Position::after(&good)), "the text is not UTF-8".to_owned())
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        read::config(&self.file, text)
            .map_err(|broken| self.invalid(broken.position, broken.message))
    }

    fn refuse_other_than_file(&self, file_type: FileType) -> Result<(), LoadError> {
        let what = if file_type.is_file() {
            return Ok(());
        } else if file_type.is_dir() {
            "a folder"
        } else if file_type.is_fifo() {
            "a FIFO"
        } else if file_type.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        let file = self.file.clone();
        Err(LoadError::NotAFile { file, what })
    }

    fn unreadable(&self, source: std::io::Error) -> LoadError {
        let file = self.file.clone();
        LoadError::Unreadable { file, source }
    }

    fn invalid(&self, position: Option<Position>, message: String) -> LoadError {
        LoadError::Invalid {
            file: self.file.clone(),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            message,
        }
    }
}

/// What changes when a file changes.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Was the last change at least so long ago? One in the future never is.
    fn is_older_than(&self, least: Duration) -> bool {
        let seconds = u64::try_from(self.changed.0).unwrap_or_default();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        changed.elapsed().is_ok_and(|age| age >= least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_settled_is_not_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("agents.yaml");
        std::fs::write(&file, "agents: {a: {directory: /a}}").expect("a writable folder");
        let mut loader = Loader::new(&file);
        loader.settles_after = Duration::ZERO;
        let first = loader.load().expect("a good file");
        // Were it read, it would now differ from what is remembered.
        let mut latest = loader.latest.lock().expect("no panic yet");
        latest.as_mut().expect("just loaded").bytes.clear();
        drop(latest);
        assert!(Arc::ptr_eq(&first, &loader.load().expect("a good file")));
        loader.settles_after = Duration::MAX;
        assert!(!Arc::ptr_eq(&first, &loader.load().expect("a good file")));
    }
}
