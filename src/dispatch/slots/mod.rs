//! How many runs go on at once, over all servers and commands of a user together.
//!
//! A slot is a locked file, which the runner of the run has open too: it is free when
//! nothing of the run is left, whoever of them was killed. It belongs to a depth, because
//! who has one waits for those that its agent asks in turn: depth d waits for d + 1 only.
//!
//! | file     | what it is about                                                |
//! |----------|-----------------------------------------------------------------|
//! | `folder` | what lies on disk, and taking a slot                            |
//! | `queue`  | whose turn it is                                                |
//! | `waiter` | the one of a process who waits                                  |
//! | `local`  | the limit of this process alone, where the folder cannot be used |
//!
//! Within a process first come, first served; among processes, each of which has one in the
//! queue, it goes round. Interactive ones come before those in the background.

mod folder;
mod local;
mod queue;
#[cfg(test)]
mod tests;
mod waiter;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, watch};

use super::bell;
use super::patience::Patience;
use crate::config::Loader;
use folder::{Folder, Look};
use local::{Local, Permit};
use waiter::Waiter;

/// How often one who waits looks without having heard anything. What it waits for rings;
/// but nobody is told that the config has changed, or that whoever is before it was stopped.
const LOOK_UNASKED: Duration = Duration::from_secs(1);

/// What it is for; the earlier one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Somebody waits for the answer.
    Interactive,
    /// Nobody does: a job.
    Background,
}

impl Class {
    const ALL: [Self; 2] = [Self::Interactive, Self::Background];

    fn name(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Background => "background",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// The concurrency limit. A slot belongs to the run, not to the one who waits for its reply.
pub(super) struct Slots {
    folder: Arc<Folder>,
    patience: Patience,
    limit: watch::Sender<usize>,
    local: Local,
    /// Those of this process who wait, by class: the first of each stands in the queue.
    turns: [Turn<()>; 2],
    /// It was said that the limit is this process's own.
    is_alone: AtomicBool,
    config: Arc<Loader>,
    patience_with_config: Patience,
}

/// The right to run one agent; given back when dropped, and nothing of the run is left.
pub(super) struct Slot {
    file: Option<File>,
    _permit: Permit,
}

impl Slots {
    /// The slots of this depth. The config says meanwhile whether the limit has changed.
    pub(super) fn new(state_folder: &Path, depth: u32, config: Arc<Loader>) -> Self {
        Self {
            folder: Arc::new(Folder::new(state_folder.join("slots").join(depth.to_string()))),
            patience: Patience::default(),
            limit: watch::Sender::new(0),
            local: Local::new(),
            turns: Default::default(),
            is_alone: AtomicBool::new(false),
            config,
            patience_with_config: Patience::default(),
        }
    }

    /// Sets the limit to what the config says now.
    pub(super) fn resize(&self, limit: usize) {
        self.local.resize(limit);
        self.limit.send_if_modified(|old| std::mem::replace(old, limit) != limit);
    }

    /// Waits for a slot.
    pub(super) async fn acquire(&self, class: Class) -> Slot {
        let file = match self.shared(class).await {
            Some(Ok(file)) => {
                self.is_alone.store(false, Ordering::Relaxed);
                Some(file)
            }
            Some(Err(error)) => {
                if !self.is_alone.swap(true, Ordering::Relaxed) {
                    tracing::warn!(folder = %self.folder.path().display(), %error,
                        "the slots that all processes share cannot be used: max_concurrency holds for this one alone");
                }
                None
            }
            None => None,
        };
        // With a slot there is one, except where others of this process have none.
        Slot { file, _permit: self.local.acquire().await }
    }

    /// Waits for one of the slots that all processes share; none where that cannot be done.
    async fn shared(&self, class: Class) -> Option<io::Result<File>> {
        let _turn = self.turns[class as usize].lock().await;
        let mut limits = self.limit.subscribe();
        let mut waiter = Waiter::new(Arc::clone(&self.folder), class);
        let mut unasked = false;
        loop {
            let limit = *limits.borrow_and_update();
            // Goes with the waiter, so that what it takes is given back when nobody waits.
            let looking = move || waiter.look(limit, unasked).map(|look| (look, waiter));
            let bells = match self.patience.look(looking).await? {
                Err(error) => return Some(Err(error)),
                Ok((Look::Taken(file), _)) => return Some(Ok(file)),
                Ok((Look::Wait(bells), waits)) => {
                    waiter = waits;
                    bells
                }
            };
            unasked = false;
            tokio::select! {
                () = bell::any(&bells) => {}
                // It cannot fail: the sender is ours.
                _ = limits.changed() => {}
                () = tokio::time::sleep(LOOK_UNASKED) => {
                    self.ask_config().await;
                    unasked = true;
                }
            }
        }
    }

    /// Has the limit changed since the last call of this process? One that cannot be read
    /// stays as it was.
    async fn ask_config(&self) {
        let config = Arc::clone(&self.config);
        let asking = move || {
            let config = config.load().ok().filter(|config| config.dispatching_blocked().is_none());
            Ok(config.map(|config| config.settings.max_concurrency as usize))
        };
        if let Some(Ok(Some(limit))) = self.patience_with_config.look(asking).await {
            self.resize(limit);
        }
    }
}

impl Slot {
    /// What has to stay open as long as anything of the run is left.
    pub(super) fn descriptor(&self) -> Option<OwnedFd> {
        self.file.as_ref()?.try_clone().ok().map(OwnedFd::from)
    }
}
