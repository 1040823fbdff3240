//! Reading the file on every call, and parsing it only when it changed.

use std::fs::{File, FileType};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::LoadError;
use super::model::Config;
use super::node::{Node, Position};
use super::{paths, read};
use crate::file_stamp::FileStamp;
use crate::lock::lock;

/// The largest config file, in bytes.
const LARGEST_FILE: u64 = 8 * 1024 * 1024;

/// Gives the config of one file as it is now. Shared by all callers.
#[derive(Debug)]
pub struct Loader {
    file: PathBuf,
    latest: Mutex<Option<Loaded>>,
}

/// What was read last.
#[derive(Debug)]
struct Loaded {
    stamp: FileStamp,
    bytes: Vec<u8>,
    config: Arc<Config>,
}

impl Loader {
    /// A loader for this file, which need not exist.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: paths::absolute(file.into()), latest: Mutex::new(None) }
    }

    /// The config file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The config as it is now; one `stat` if nothing changed. No file is an empty config.
    pub fn load(&self) -> Result<Arc<Config>, LoadError> {
        let mut latest = lock(&self.latest);
        let metadata = match std::fs::metadata(&self.file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                *latest = None;
                return Ok(Arc::new(Config::empty(&self.file)));
            }
            Err(error) => return Err(self.unreadable(error)),
        };
        if let Some(loaded) = &*latest
            && loaded.stamp.vouches_for(&metadata)
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

    /// The text as it is now, for an edit; none where there is no file.
    pub(super) fn read_text(&self) -> Result<Option<String>, LoadError> {
        let metadata = match std::fs::metadata(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(|error| self.unreadable(error))?,
        };
        self.refuse_other_than_file(metadata.file_type())?;
        let (_, bytes) = self.read()?;
        self.text(&bytes).map(|text| Some(text.to_owned()))
    }

    /// The content, and the stamp of the opened file from before it was read, so that a
    /// change meanwhile is seen the next time.
    fn read(&self) -> Result<(FileStamp, Vec<u8>), LoadError> {
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
        Ok((FileStamp::of(&metadata), bytes))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Config, LoadError> {
        self.understand(self.text(bytes)?).map(|(_, config)| config)
    }

    fn text<'b>(&self, bytes: &'b [u8]) -> Result<&'b str, LoadError> {
        std::str::from_utf8(bytes).map_err(|error| {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            self.invalid(Some(Position::after(&good)), "the text is not UTF-8".to_owned())
        })
    }

    /// The tree of a text, and what it means.
    pub(super) fn understand<'t>(&self, text: &'t str) -> Result<(Node<'t>, Config), LoadError> {
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
