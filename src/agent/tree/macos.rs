//! Descent on macOS: the process group of the run's first process. A process that
//! leaves the group is out of sight; the README says so.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

/// The processes of one run: its group.
#[derive(Debug)]
pub(in crate::agent) struct Tree {
    group: Option<Pid>,
    asked: bool,
    held: bool,
}

impl Tree {
    /// The run whose first process, and so its group, is `leader`.
    pub(in crate::agent) fn new(_run: &str, leader: Option<i32>) -> Self {
        Self { group: leader.and_then(Pid::from_raw), asked: false, held: false }
    }

    /// What is left of a run whose parent is gone; out of sight here.
    pub(in crate::agent) fn left_behind(run: &str) -> Self {
        Self::new(run, None)
    }

    /// Has the group no members left?
    pub(in crate::agent) fn is_gone(&mut self, _takes_strays: bool) -> bool {
        self.count() == 0
    }

    /// 1 while the group has members, else 0.
    pub(in crate::agent) fn count(&mut self) -> usize {
        if self.group.is_some_and(|group| test_kill_process_group(group).is_err()) {
            // The number may become another's: it is not used again.
            self.group = None;
        }
        usize::from(self.group.is_some())
    }

    /// Asks the group once to end.
    pub(in crate::agent) fn ask(&mut self) {
        if !std::mem::replace(&mut self.asked, true) {
            self.send(Signal::TERM);
        }
    }

    /// Holds the group once; false when it is held already.
    pub(in crate::agent) fn hold(&mut self, _takes_strays: bool) -> bool {
        let first = !std::mem::replace(&mut self.held, true);
        if first {
            self.send(Signal::STOP);
        }
        first
    }

    /// Kills the group.
    pub(in crate::agent) fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// There is nothing to wait on but time.
    pub(in crate::agent) fn wait(&self, longest: Duration) {
        std::thread::sleep(longest.min(Duration::from_millis(20)));
    }

    fn send(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that has just ended is no error.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// macOS gives orphans to launchd, whatever we say.
#[allow(clippy::unnecessary_wraps)]
pub(in crate::agent) fn adopt_orphans() -> std::io::Result<()> {
    Ok(())
}

/// What is left of a group is not among our children: somebody has to look.
pub(in crate::agent) fn has_other_children(_leaders: &[i32]) -> bool {
    true
}

/// There is no limit here that limits nothing, and nobody who would tell it.
pub(in crate::agent) fn with_tag<T>(_run: &str, spawn: impl FnOnce() -> T) -> T {
    spawn()
}

/// Kills the process that is known to hold the file. Its children are out of sight, and end
/// with it.
pub(in crate::agent) fn kill_holders(_file: &Path, _arguments: &[&str], keeper: Option<u32>) {
    if let Some(pid) = keeper.and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        tracing::warn!("process {pid:?} does not end its job and is killed");
        // One that has just ended is no error.
        let _ = kill_process(pid, Signal::KILL);
    }
}
