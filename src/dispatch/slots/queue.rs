//! Who waits for a slot, over all processes: each has a file that says since when, and waits
//! for the one before it. Whoever is killed is no longer there, and those behind move up.
//!
//! The files only say whose turn it is. Were they all wrong, no more would run than may.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

use super::Class;
use crate::dispatch::bell::{self, Bell};

/// A place in the queue: the less, the sooner it has its turn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    class: Class,
    /// The time since the machine was started, which is one for all processes and which
    /// nobody sets, and what tells those apart who came at the same time.
    since: String,
}

impl Place {
    /// The last of its class.
    pub(super) fn now(class: Class) -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let id = Uuid::new_v4().simple();
        Self { class, since: format!("{:012}.{:09}-{id}", now.tv_sec, now.tv_nsec) }
    }

    /// The place of the one whose file has this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (class, since) = name.split_once('-')?;
        Some(Self { class: Class::parse(class)?, since: since.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.class.name(), self.since)
    }
}

/// What holds a place; given up when dropped.
pub(super) struct Ticket {
    pub(super) place: Place,
    path: PathBuf,
    file: Option<File>,
}

impl Ticket {
    pub(super) fn take(folder: &Path, class: Class) -> io::Result<Self> {
        loop {
            let place = Place::now(class);
            let path = folder.join(place.to_string());
            // None where somebody took it for one that was left behind before it was locked.
            if let file @ Some(_) = bell::claim(&path)? {
                return Ok(Self { place, path, file });
            }
        }
    }

    /// Gives it up on this thread.
    pub(super) fn give_up(mut self) {
        // Nobody looks at it any more; then those hear of it who did.
        let _ = std::fs::remove_file(&self.path);
        self.file = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Whoever is behind hears of it at once. The rest not on this thread, which may
            // be the reactor's. A file that stays is swept by whoever looks next.
            drop(file);
            let path = std::mem::take(&mut self.path);
            let remove = move || drop(std::fs::remove_file(path));
            let _ = std::thread::Builder::new().spawn(remove);
        }
    }
}

/// The bell of the last one before `place`, if there is one. `waiting` is in order.
pub(super) fn ahead(folder: &Path, waiting: &[Place], place: &Place) -> io::Result<Option<Bell>> {
    for before in waiting.iter().rev().skip_while(|other| *other >= place) {
        let path = folder.join(before.to_string());
        if let Some(bell) = Bell::at(&path)? {
            if !bell.keeps_from_all()? {
                return Ok(Some(bell));
            }
            // It was killed. What is removed cannot be anybody's: it is locked from here.
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(None)
}
