//! Which process completes a record. A process id alone is used again.

use std::fs;

use rustix::process::{Pid, test_kill_process};

/// A process, told from all that had or will have its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// When it was started, in the kernel's own measure; 0 where nobody tells.
    pub started: u64,
}

impl Owner {
    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id();
        Self { pid, started: started(pid).unwrap_or_default() }
    }

    /// Is it still there?
    pub fn is_alive(self) -> bool {
        match started(self.pid) {
            Some(started) => started == self.started,
            // There is no /proc, or no such process.
            None if self.started == 0 => {
                let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
                pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
            }
            None => false,
        }
    }
}

/// When a process was started, in clock ticks since the machine was; none of one that is
/// dead and only waits for its parent to notice.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A program's name may hold anything; it ends with the last bracket. After it come the
    // state and 18 more fields that are not wanted.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
