//! Where a component's bytes come from, and how a change is noticed.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::built_in::BuiltIn;
use super::error::{Failure, Identity, PolicyError};
use super::installed::Installed;
use super::{Limits, built_in, engine, limits};
use crate::file_stamp::{self, FileStamp};

/// For how long nobody must have written to a file before what was read of it counts: who
/// writes one piece after the other does not rest that long in between.
const QUIET: Duration = Duration::from_millis(40);

/// How long a call waits for somebody who is writing.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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
    /// In the folder of installed components. It is used only as `policies.lock` knows it;
    /// one that was never installed is followed.
    Kept {
        /// The policy that it was installed as.
        name: String,
        /// Its folder and what vouches for it.
        installed: Installed,
    },
}

/// What tells whether a component would be read again; none for a built-in one,
/// which never changes.
pub(super) type Stamp = Option<Stamps>;

/// Those of a component's file, and of the file that vouches for it where it is there.
#[derive(Debug, Clone)]
pub(super) struct Stamps {
    component: FileStamp,
    lock: Option<FileStamp>,
}

impl Stamps {
    /// Was the component's last change old when it was read?
    pub(super) fn is_settled(&self) -> bool {
        self.component.is_settled()
    }
}

/// A component's bytes with what tells them apart from others.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
    pub(super) stamp: Stamp,
}

/// How a reading fails: some failures pass while one waits.
pub(super) enum Unread {
    /// Somebody writes it, or is about to.
    ForNow(Failure),
    /// It will not be better soon.
    Failed(Failure),
}

impl Unread {
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::ForNow(failure) | Self::Failed(failure) => failure,
        }
    }
}

impl ComponentSource {
    /// The component in this file, seen from what is installed.
    pub fn at(path: PathBuf, installed: &Installed) -> Self {
        match installed.name_of(&path) {
            Some(name) => Self::Kept { name: name.to_owned(), installed: installed.clone() },
            None => Self::File(path),
        }
    }

    /// Is what was read under this stamp what would be read now? Costs one `stat`
    /// for a file.
    pub(super) fn is_unchanged(&self, stamp: &Stamp) -> bool {
        let vouches = |stamp: &FileStamp, path: &Path| {
            path.metadata().is_ok_and(|now| stamp.vouches_for(&now))
        };
        match (self, stamp) {
            (Self::BuiltIn(_), _) => true,
            (Self::File(path), Some(stamps)) => vouches(&stamps.component, path),
            (Self::Kept { name, installed }, Some(Stamps { component, lock })) => {
                let path = installed.lock_file();
                let lock_is = match lock {
                    Some(stamp) => vouches(stamp, path),
                    None => !path.exists(),
                };
                lock_is && vouches(component, &installed.component(name))
            }
            (Self::File(_) | Self::Kept { .. }, None) => false,
        }
    }

    /// Has its file been changed since it was read?
    pub(super) fn is_another(&self, stamp: &Stamp) -> bool {
        let (Some(path), Some(stamps)) = (self.path(), stamp) else { return false };
        path.metadata().is_ok_and(|now| !stamps.component.is_same(&now))
    }

    /// Its name, where it is a built-in one.
    pub(super) fn built_in_name(&self) -> Option<&str> {
        match self {
            Self::BuiltIn(name) => Some(name),
            _ => None,
        }
    }

    /// Its file, where it has one.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::BuiltIn(_) => None,
            Self::File(path) => Some(path.clone()),
            Self::Kept { name, installed } => Some(installed.component(name)),
        }
    }

    /// Reads the bytes. A file that changes meanwhile is an error, so that no
    /// half-written component is ever run.
    pub(super) fn read(&self, kind: &'static str) -> Result<Read, Unread> {
        match self {
            Self::BuiltIn(name) => {
                let built_in = find_built_in(kind, name).map_err(Unread::Failed)?;
                Ok(Read {
                    bytes: built_in.bytes.to_vec(),
                    digest: digest(built_in.bytes),
                    stamp: None,
                })
            }
            Self::File(path) => read_file(path),
            Self::Kept { name, installed } => read_kept(name, installed),
        }
    }
}

/// Reads an installed component and what vouches for it.
fn read_kept(name: &str, installed: &Installed) -> Result<Read, Unread> {
    let path = installed.component(name);
    let mut read = read_file(&path)?;
    // After the component: whoever installs another one writes here first, so that what was
    // read is either known by now, or was there before.
    let stamp = installed.lock_file().metadata().ok().map(|data| FileStamp::of(&data));
    let lock = installed.lock().map_err(|problem| {
        Unread::Failed(unreadable(&path, format!("nothing vouches for it, as {problem}")))
    })?;
    if let Some(line) = lock.line(name).filter(|line| !line.vouches_for(&read.digest)) {
        // Somebody may just have installed another one, between the two readings.
        return Err(Unread::ForNow(Failure::changed(name, &path, &line.sha256, &read.digest)));
    }
    read.stamp = read.stamp.map(|stamps| Stamps { lock: stamp, ..stamps });
    Ok(read)
}

impl Read {
    /// Reads a component that may be of any kind; of a built-in one the kind has to be told.
    pub(super) fn of(
        component: &ComponentSource,
        kind: Option<&'static str>,
    ) -> Result<Self, Failure> {
        waiting(|| component.read(kind.unwrap_or_default())).map_err(Unread::failure)
    }
}

fn find_built_in(kind: &'static str, name: &str) -> Result<&'static BuiltIn, Failure> {
    built_in::find(kind, name).ok_or_else(|| Failure::NoSuchBuiltIn {
        kind,
        available: built_in::names(kind).collect::<Vec<_>>().join(", "),
    })
}

/// Reads a component's file, wherever it lies.
pub(super) fn read_at(path: &Path) -> Result<Read, Failure> {
    waiting(|| read_file(path)).map_err(Unread::failure)
}

/// Tries again for a moment where somebody is writing. Blocks.
pub(super) fn waiting<T>(mut read: impl FnMut() -> Result<T, Unread>) -> Result<T, Unread> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match read() {
            Err(Unread::ForNow(_)) if Instant::now() < deadline => sleep(LOOK_AGAIN),
            done => return done,
        }
    }
}

fn read_file(path: &Path) -> Result<Read, Unread> {
    let failed = |reason: &dyn Display| Unread::Failed(unreadable(path, reason));
    // Non-blocking: opening a FIFO must not wait for someone to write to it.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(|error| failed(&error))?;
    let before = file.metadata().map_err(|error| failed(&error))?;
    if !before.is_file() {
        return Err(failed(&"it is not a regular file"));
    }
    if before.len() > limits::COMPONENT_BYTES {
        let bound = limits::COMPONENT_BYTES >> 20;
        return Err(failed(&format!("it is larger than {bound} MiB")));
    }
    let changing = || {
        let reason = "it changed while it was read; try again when it is written";
        Unread::ForNow(unreadable(path, reason))
    };
    // Within one tick of the file system's clock a file can change and look the same.
    if file_stamp::age(&before).is_some_and(|age| age < QUIET) {
        return Err(changing());
    }
    let bytes = read_bounded(&mut file).map_err(|error| failed(&error))?;
    let after = file.metadata().map_err(|error| failed(&error))?;
    let component = FileStamp::of(&before);
    if !component.is_same(&after) || bytes.len() as u64 != before.len() {
        return Err(changing());
    }
    Ok(Read { digest: digest(&bytes), bytes, stamp: Some(Stamps { component, lock: None }) })
}

fn read_bounded(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limits::COMPONENT_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path, reason: impl Display) -> Failure {
    Failure::Unreadable { path: path.display().to_string(), reason: reason.to_string() }
}

fn digest(bytes: &[u8]) -> String {
    engine::hex(&Sha256::digest(bytes))
}
