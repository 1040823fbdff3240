//! What `/proc` tells of processes: parents, ages, environments, owners.

use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use rustix::io::Errno;
use rustix::process::{getpid, getuid};

use crate::agent::job::RUN_MARK;

/// The processes that are alive.
#[derive(Debug, Default)]
pub(super) struct ProcessTable {
    pub(super) entries: Vec<Entry>,
    /// Some were listed and had ended before they were read: what they have started
    /// meanwhile is not in the list.
    pub(super) has_gaps: bool,
    /// Some could not be read, for want of descriptors, say.
    pub(super) is_partial: bool,
}

/// One line of the process table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// With the pid: which process this is.
    pub(super) started: u64,
    pub(super) alive: bool,
}

/// The children of this process, ended ones included; none where the kernel keeps no
/// list of them, or a thread ended meanwhile and left its own to another.
pub(super) fn own_children() -> Option<Vec<i32>> {
    let mut pids = Vec::new();
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).ok()?;
        pids.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Some(pids)
}

pub(super) fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}

impl ProcessTable {
    pub(super) fn read() -> Self {
        let Ok(files) = fs::read_dir("/proc") else {
            return Self { is_partial: true, ..Self::default() };
        };
        let pids = files.flatten().filter_map(|file| file.file_name().to_str()?.parse().ok());
        let mut table = Self::default();
        for pid in pids {
            match read_stat(pid) {
                Ok(entry) if entry.alive => table.entries.push(entry),
                // Ended and not reaped, by us in no time, by others perhaps never.
                Ok(entry) => table.has_gaps |= entry.parent == own_pid(),
                Err(error) if has_ended(&error) => table.has_gaps = true,
                Err(_) => table.is_partial = true,
            }
        }
        table
    }
}

/// Is the first argument of this process one of these?
pub(super) fn has_argument(pid: i32, arguments: &[&str]) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = line.split(|byte| *byte == 0).nth(1).unwrap_or_default();
    arguments.iter().any(|argument| argument.as_bytes() == first)
}

/// Does this process have the file with this device and number open to be written?
pub(super) fn writes(pid: i32, file: (u64, u64)) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter(|entry| fs::metadata(entry.path()).is_ok_and(|it| (it.dev(), it.ino()) == file))
        .any(|entry| {
            let number = entry.file_name();
            let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
            let info = fs::read_to_string(info).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok());
            flags.is_some_and(|flags| flags & ACCESS != 0)
        })
}

/// Of a descriptor's flags those that say how it was opened; none where it is but read.
const ACCESS: u64 = 0o3;

/// Does reading fail because the process is not there any more?
pub(super) fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// The process with this number, if it is alive.
pub(super) fn read_entry(pid: i32) -> Option<Entry> {
    read_stat(pid).ok().filter(|entry| entry.alive)
}

fn read_stat(pid: i32) -> io::Result<Entry> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    // A kernel that writes it otherwise is none that we know.
    parse_stat(pid, &stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse_stat(pid: i32, stat: &[u8]) -> Option<Entry> {
    // The name may hold spaces and brackets; the fields begin after its last one.
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let (state, threads) = (*fields.first()?, *fields.get(17)?);
    // A process whose first thread has ended looks dead while others still run.
    let alive = !matches!(state, "Z" | "X") || threads.parse::<u32>().ok()? > 1;
    let (parent, started) = (fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?);
    Some(Entry { pid, parent, started, alive })
}

/// Does the environment this process was started with bear the run's mark?
pub(super) fn is_marked(pid: i32, run: &str) -> bool {
    environment(pid).is_ok_and(|environment| bears(&environment, run))
}

/// The environment a process was started with; empty once it has ended.
pub(super) fn environment(pid: i32) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ"))
}

/// Is it this user's? Another's cannot be ended from here, except by root, and anybody
/// can take a tag or a mark over from what `/proc` shows.
pub(super) fn is_ours(pid: i32) -> bool {
    let owner = || fs::metadata(format!("/proc/{pid}")).map(|data| data.uid());
    getuid().is_root() || owner().is_ok_and(|owner| owner == getuid().as_raw())
}

fn bears(environment: &[u8], run: &str) -> bool {
    marks(environment).any(|runs| runs.split(|byte| *byte == b'/').any(|one| one == run.as_bytes()))
}

pub(super) fn has_mark(environment: &[u8]) -> bool {
    marks(environment).next().is_some()
}

fn marks(environment: &[u8]) -> impl Iterator<Item = &[u8]> {
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.strip_prefix(RUN_MARK.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = b"7 (a) S 1 (b) S 3 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let entry = parse_stat(7, stat).unwrap();
        assert_eq!((entry.pid, entry.parent, entry.started), (7, 3, 4242));
    }

    #[test]
    fn a_zombie_is_dead_unless_other_threads_run() {
        let stat = |threads| {
            format!("7 (a) Z 3 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 0 0")
        };
        assert!(!parse_stat(7, stat(1).as_bytes()).unwrap().alive);
        assert!(parse_stat(7, stat(2).as_bytes()).unwrap().alive);
    }

    #[test]
    fn the_mark_of_an_outer_run_counts_and_a_longer_id_does_not() {
        let environment = b"HOME=/\0AGENT_DISPATCH_RUN=outer/inner\0PATH=/bin\0";
        assert!(bears(environment, "outer"));
        assert!(bears(environment, "inner"));
        assert!(!bears(environment, "out"));
        assert!(!bears(b"X_AGENT_DISPATCH_RUN=outer\0", "outer"));
    }
}
