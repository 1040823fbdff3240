//! Where a component's bytes come from, and how a change is noticed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::built_in::BuiltIn;
use super::error::Failure;
use super::{Limits, built_in, engine, limits};

/// A policy as the config chose it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name it was chosen by.
    pub name: String,
    /// Where its component is.
    pub component: ComponentSource,
    /// Its config, as JSON text.
    pub config: String,
    /// What its calls may use.
    pub limits: Limits,
}

/// Where a component is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ComponentSource {
    /// In this binary, under this name.
    BuiltIn(String),
    /// In this file, which it follows: a changed file is used from the next call.
    File(PathBuf),
}

/// Changes whenever a component's bytes may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamp {
    BuiltIn,
    File { device: u64, inode: u64, size: u64, modified: (i64, i64), changed: (i64, i64) },
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self::File {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A component's bytes with what tells them apart from others.
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
    pub(super) stamp: Stamp,
}

impl ComponentSource {
    /// The stamp of what would be read now. Costs one `stat` for a file.
    pub(super) fn stamp(&self) -> Result<Stamp, Failure> {
        match self {
            Self::BuiltIn(_) => Ok(Stamp::BuiltIn),
            Self::File(path) => path
                .metadata()
                .map(|metadata| Stamp::of(&metadata))
                .map_err(|error| unreadable(path, error)),
        }
    }

    /// Reads the bytes. A file that changes meanwhile is an error, so that no
    /// half-written component is ever run.
    pub(super) fn read(&self, kind: &'static str) -> Result<Bytes, Failure> {
        match self {
            Self::BuiltIn(name) => {
                let built_in = find_built_in(kind, name)?;
                Ok(Bytes {
                    bytes: built_in.bytes.to_vec(),
                    digest: digest(built_in.bytes),
                    stamp: Stamp::BuiltIn,
                })
            }
            Self::File(path) => read_file(path),
        }
    }
}

fn find_built_in(kind: &'static str, name: &str) -> Result<&'static BuiltIn, Failure> {
    built_in::find(kind, name).ok_or_else(|| Failure::NoSuchBuiltIn {
        kind,
        available: built_in::names(kind).collect::<Vec<_>>().join(", "),
    })
}

fn read_file(path: &Path) -> Result<Bytes, Failure> {
    // Non-blocking: opening a FIFO must not wait for someone to write to it.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(|error| unreadable(path, error))?;
    let before = file.metadata().map_err(|error| unreadable(path, error))?;
    if !before.is_file() {
        return Err(unreadable(path, "it is not a regular file"));
    }
    if before.len() > limits::COMPONENT_BYTES {
        let bound = limits::COMPONENT_BYTES >> 20;
        return Err(unreadable(path, format!("it is larger than {bound} MiB")));
    }
    let bytes = read_bounded(&mut file).map_err(|error| unreadable(path, error))?;
    let after = file.metadata().map_err(|error| unreadable(path, error))?;
    let stamp = Stamp::of(&before);
    if stamp != Stamp::of(&after) || bytes.len() as u64 != before.len() {
        return Err(unreadable(path, "it changed while it was read; try again when it is written"));
    }
    Ok(Bytes { digest: digest(&bytes), bytes, stamp })
}

fn read_bounded(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limits::COMPONENT_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path, reason: impl ToString) -> Failure {
    Failure::Unreadable { path: path.display().to_string(), reason: reason.to_string() }
}

fn digest(bytes: &[u8]) -> String {
    engine::hex(&Sha256::digest(bytes))
}
