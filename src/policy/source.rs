//! Where a component's bytes come from, and how a change is noticed.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::built_in::BuiltIn;
use super::error::{Failure, Identity, PolicyError};
use super::{Limits, built_in, engine, limits};
use crate::file_stamp::FileStamp;

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

impl Source {
    /// The error of this policy.
    pub(super) fn error(&self, identity: Arc<Identity>, failure: Failure) -> PolicyError {
        PolicyError { policy: self.name.clone(), identity, failure }
    }
}

/// Where a component is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ComponentSource {
    /// In this binary, under this name.
    BuiltIn(String),
    /// In this file, which it follows: a changed file is used from the next call.
    File(PathBuf),
}

/// What tells whether a component would be read again; none for a built-in one,
/// which never changes.
pub(super) type Stamp = Option<FileStamp>;

/// A component's bytes with what tells them apart from others.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
    pub(super) stamp: Stamp,
}

impl ComponentSource {
    /// Is what was read under this stamp what would be read now? Costs one `stat`
    /// for a file.
    pub(super) fn is_unchanged(&self, stamp: &Stamp) -> bool {
        match (self, stamp) {
            (Self::BuiltIn(_), _) => true,
            (Self::File(path), Some(stamp)) => {
                path.metadata().is_ok_and(|now| stamp.vouches_for(&now))
            }
            (Self::File(_), None) => false,
        }
    }

    /// Reads the bytes. A file that changes meanwhile is an error, so that no
    /// half-written component is ever run.
    pub(super) fn read(&self, kind: &'static str) -> Result<Read, Failure> {
        match self {
            Self::BuiltIn(name) => {
                let built_in = find_built_in(kind, name)?;
                Ok(Read {
                    bytes: built_in.bytes.to_vec(),
                    digest: digest(built_in.bytes),
                    stamp: None,
                })
            }
            Self::File(path) => read_file(path),
        }
    }
}

impl Read {
    /// Reads a component that may be of any kind; of a built-in one the kind has to be told.
    pub(super) fn of(
        component: &ComponentSource,
        kind: Option<&'static str>,
    ) -> Result<Self, Failure> {
        component.read(kind.unwrap_or_default())
    }
}

fn find_built_in(kind: &'static str, name: &str) -> Result<&'static BuiltIn, Failure> {
    built_in::find(kind, name).ok_or_else(|| Failure::NoSuchBuiltIn {
        kind,
        available: built_in::names(kind).collect::<Vec<_>>().join(", "),
    })
}

fn read_file(path: &Path) -> Result<Read, Failure> {
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
    let stamp = FileStamp::of(&before);
    if !stamp.is_same(&after) || bytes.len() as u64 != before.len() {
        return Err(unreadable(path, "it changed while it was read; try again when it is written"));
    }
    Ok(Read { digest: digest(&bytes), bytes, stamp: Some(stamp) })
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
