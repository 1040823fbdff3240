//! What lies on disk.
//!
//! ```text
//! <state folder>/slots/<depth>/           0700
//!     0, 1, 2, …                          0600, a file for each slot
//!     interactive-<since>-<id>            0600, a file for each process that waits
//!     background-<since>-<id>
//! ```
//!
//! Whoever runs something has one of the slots below its limit locked (`flock`), and whoever
//! waits the file of its place; each is had by as many processes as have it open. Nothing is
//! written into any of them, and what has another name is nobody's business: so a newer
//! program may lay other things beside them, and an older one leaves them alone. The files
//! of slots stay, unless they are beyond the limit.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::queue::Place;
use crate::dispatch::bell::{self, Bell};
use crate::private_file;

/// The slots of one depth.
pub(super) struct Folder(PathBuf);

/// What there is in a folder, in order.
pub(super) struct Listed {
    slots: Vec<usize>,
    pub(super) waiting: Vec<Place>,
}

/// What comes of a look.
pub(super) enum Look {
    /// A slot, for as long as it is open.
    Taken(File),
    /// Nothing yet: one of these rings before it is worth looking again.
    Wait(Vec<Bell>),
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What there is; makes the folder where it is missing.
    pub(super) fn list(&self) -> io::Result<Listed> {
        let entries = match self.0.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                private_file::create_folder(&self.0)?;
                self.0.read_dir()?
            }
            entries => entries?,
        };
        let (mut slots, mut waiting) = (Vec::new(), Vec::new());
        for entry in entries {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            match name.parse::<usize>() {
                Ok(slot) if slot.to_string() == name => slots.push(slot),
                _ => waiting.extend(Place::parse(name)),
            }
        }
        slots.sort_unstable();
        waiting.sort_unstable();
        Ok(Listed { slots, waiting })
    }

    /// Takes a slot, if fewer than `limit` are taken.
    pub(super) fn take(&self, listed: &Listed, limit: usize) -> io::Result<Look> {
        let mut bells = Vec::new();
        // Taken while the limit was higher, or by somebody who has a higher one.
        for &slot in listed.slots.iter().filter(|slot| **slot >= limit) {
            match self.hold(slot)? {
                Ok(_held) => drop(std::fs::remove_file(self.file(slot))),
                Err(bell) => bells.push(bell),
            }
        }
        let has_beyond = !bells.is_empty();
        for slot in 0..limit {
            match self.hold(slot)? {
                Err(bell) => bells.push(bell),
                Ok(file) if !has_beyond => return Ok(Look::Taken(file)),
                Ok(file) => {
                    let others =
                        listed.slots.iter().filter(|other| (slot + 1..limit).contains(other));
                    for &other in others {
                        bells.extend(self.hold(other)?.err());
                    }
                    if bells.len() < limit {
                        return Ok(Look::Taken(file));
                    }
                    break;
                }
            }
        }
        Ok(Look::Wait(bells))
    }

    fn file(&self, slot: usize) -> PathBuf {
        self.0.join(slot.to_string())
    }

    /// Takes this slot, or says what rings when it is free.
    fn hold(&self, slot: usize) -> io::Result<Result<File, Bell>> {
        let path = self.file(slot);
        loop {
            if let Some(file) = bell::claim(&path)? {
                return Ok(Ok(file));
            }
            let Some(bell) = Bell::at(&path)? else { continue };
            // Again, as it may have been given back before the bell was there.
            return Ok(bell::claim(&path)?.ok_or(bell));
        }
    }
}
