//! Descent on Linux: parents, the run's tag in the limits, and its mark in the
//! environment, which also names the runs above. Signals go through pidfds, so that
//! they reach the process that was looked at and no other that got its number.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitid,
};

use super::procfs::{
    Entry, ProcessTable, environment, has_argument, has_ended, has_mark, is_marked, is_ours,
    own_children, own_pid, read_entry, writes,
};
use super::tag::{self, Tag};

/// The processes of one run, as far as they are known.
#[derive(Debug)]
pub(in crate::agent) struct Tree {
    run: String,
    tag: Tag,
    /// Nothing of the run is older than this, in the kernel's clock ticks.
    since: u64,
    leader: Option<(i32, u64)>,
    /// Once found, a process stays the run's, wherever it moves.
    known: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    pid: i32,
    started: u64,
    handle: OwnedFd,
    asked: bool,
    held: bool,
}

impl Process {
    fn is_over(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&now)), Ok(1..))
    }
}

/// How often a run is looked at, at the most, before it is believed to be gone.
const MOST_LOOKS: usize = 20;

/// How often orphans are run after, at the most, before all processes are looked at
/// again.
const MOST_CHASES: usize = 1000;

impl Tree {
    /// The run with this id, whose first process is `leader` where it is known.
    /// To be called while the leader cannot have been reaped, and by a process that
    /// is older than the run.
    pub(in crate::agent) fn new(run: &str, leader: Option<i32>) -> Self {
        let leader = leader.and_then(read_entry);
        let since = leader.or_else(|| read_entry(own_pid())).map_or(0, |entry| entry.started);
        let leader = leader.map(|entry| (entry.pid, entry.started));
        Self { run: run.to_owned(), tag: Tag::of(run), since, leader, known: Vec::new() }
    }

    /// What is left of the run with this id, whose parent is gone. It may be older than this
    /// process.
    pub(in crate::agent) fn left_behind(run: &str) -> Self {
        Self { since: 0, ..Self::new(run, None) }
    }

    /// Is nothing left? Believed when it was seen twice without a gap: a process that
    /// starts another and ends may be too dead to be seen, and the other too young. On
    /// a machine where processes end all the time nobody waits for that for ever.
    ///
    /// With `takes_strays`, children of this process that bear no run's tag or mark are
    /// the run's: whoever changes user, say, loses its limits.
    pub(in crate::agent) fn is_gone(&mut self, takes_strays: bool) -> bool {
        let mut seen = 0;
        for _ in 0..MOST_LOOKS {
            let table = ProcessTable::read();
            if self.look_at(&table) > 0 || table.is_partial {
                return false;
            }
            seen += u32::from(!table.has_gaps);
            if seen == 2 {
                break;
            }
        }
        (0..3).all(|_| self.adopt(takes_strays) == 0)
    }

    /// Takes up the orphans of the run that are children of this process, and says how
    /// many there may be, the ones included that have just ended. Many times faster
    /// than a look at all processes, so that one that starts another and ends, over
    /// and over, does not outrun it.
    fn adopt(&mut self, takes_strays: bool) -> usize {
        let mut orphans = 0;
        for pid in own_children().unwrap_or_default() {
            if self.known.iter().any(|process| process.pid == pid) {
                continue;
            }
            match self.is_orphan(pid, takes_strays) {
                Ok(true) => self.know(pid, takes_strays),
                Err(error) if has_ended(&error) => {}
                // What cannot be read is another user's, and cannot be ended from here.
                Ok(false) | Err(_) => continue,
            }
            orphans += 1;
        }
        orphans
    }

    fn is_orphan(&self, pid: i32, takes_strays: bool) -> io::Result<bool> {
        let is_stray = || io::Result::Ok(tag::has_none(pid)? && !has_mark(&environment(pid)?));
        Ok(self.tag.is_on(pid)? || (takes_strays && is_stray()?))
    }

    fn know(&mut self, pid: i32, takes_strays: bool) {
        // Opened first and looked at then: the number may be another's by now, and
        // from here on it cannot become one.
        let handle = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        if let (Some(handle), Some(entry), Ok(true)) =
            (handle, read_entry(pid), self.is_orphan(pid, takes_strays))
        {
            let started = entry.started;
            self.known.push(Process { pid, started, handle, asked: false, held: false });
        }
    }

    /// How many of the run are alive, as far as one look tells.
    pub(in crate::agent) fn count(&mut self) -> usize {
        self.look_at(&ProcessTable::read())
    }

    fn look_at(&mut self, table: &ProcessTable) -> usize {
        let mine = self.members(&table.entries);
        let alive = mine.len();
        self.known.retain(|process| {
            // What is not seen may be there all the same; then its handle tells.
            let is_seen = || {
                mine.iter()
                    .any(|entry| (entry.pid, entry.started) == (process.pid, process.started))
            };
            if table.is_partial { !process.is_over() } else { is_seen() }
        });
        for entry in mine {
            if self.known.iter().any(|process| process.pid == entry.pid) {
                continue;
            }
            // Opened first and compared again: in between it may have gone, and
            // its number may be another's.
            let Some(handle) = Pid::from_raw(entry.pid)
                .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
                .filter(|_| read_entry(entry.pid).is_some_and(|now| now.started == entry.started))
            else {
                continue;
            };
            let Entry { pid, started, .. } = entry;
            self.known.push(Process { pid, started, handle, asked: false, held: false });
        }
        if table.is_partial { alive.max(self.known.len()) } else { alive }
    }

    /// What is known, what bears the tag or the mark, and all that descends from
    /// either.
    fn members(&self, table: &[Entry]) -> Vec<Entry> {
        let mut children: HashMap<i32, Vec<Entry>> = HashMap::new();
        for entry in table {
            children.entry(entry.parent).or_default().push(*entry);
        }
        let mut seen = HashSet::from([own_pid()]);
        let mut mine = Vec::new();
        // What descent tells needs no look into files, which the rest does.
        let roots: [&dyn Fn(&Entry) -> bool; 2] =
            [&|entry| self.is_known(entry), &|entry| self.is_marked(entry)];
        for is_root in roots {
            for root in table {
                if seen.contains(&root.pid) || !is_root(root) {
                    continue;
                }
                let mut open = vec![*root];
                while let Some(entry) = open.pop() {
                    if seen.insert(entry.pid) {
                        mine.push(entry);
                        open.extend(children.get(&entry.pid).into_iter().flatten());
                    }
                }
            }
        }
        mine
    }

    fn is_known(&self, entry: &Entry) -> bool {
        let identity = (entry.pid, entry.started);
        self.leader == Some(identity)
            || self.known.iter().any(|process| (process.pid, process.started) == identity)
    }

    /// Does it bear the run's tag or, where that is another's or none, its mark?
    fn is_marked(&self, entry: &Entry) -> bool {
        entry.started >= self.since
            && is_ours(entry.pid)
            && (self.tag.is_on(entry.pid).unwrap_or(false) || is_marked(entry.pid, &self.run))
    }

    /// Asks each process once to end.
    pub(in crate::agent) fn ask(&mut self) {
        for process in self.known.iter_mut().filter(|process| !process.asked) {
            process.asked = true;
            send(process, Signal::TERM);
        }
    }

    /// Holds what is not held yet; false when there was nothing.
    pub(in crate::agent) fn hold(&mut self, takes_strays: bool) -> bool {
        let mut any = false;
        for _ in 0..MOST_CHASES {
            let orphans = self.adopt(takes_strays);
            for process in self.known.iter_mut().filter(|process| !process.held) {
                process.held = true;
                any = true;
                send(process, Signal::STOP);
            }
            if orphans == 0 {
                break;
            }
        }
        any
    }

    /// Kills all that is known.
    pub(in crate::agent) fn kill(&self) {
        for process in &self.known {
            send(process, Signal::KILL);
        }
    }

    /// Waits until one of the known processes has ended, but no longer than this.
    pub(in crate::agent) fn wait(&self, longest: Duration) {
        let mut handles: Vec<PollFd<'_>> =
            self.known.iter().map(|process| PollFd::new(&process.handle, PollFlags::IN)).collect();
        // Cut short by a signal or refused: the caller looks again anyway.
        let _ = poll(&mut handles, Timespec::try_from(longest).ok().as_ref());
    }
}

/// Kills those processes of this program that hold this file open to be written, and whose
/// first argument is one of these.
pub(in crate::agent) fn kill_holders(file: &Path, arguments: &[&str], _keeper: Option<u32>) {
    let Ok(file) = file.metadata() else { return };
    let identity = (file.dev(), file.ino());
    let open = |entry: Entry| {
        let pid = Pid::from_raw(entry.pid)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let Entry { pid, started, .. } = entry;
        let process = Process { pid, started, handle, asked: false, held: false };
        // It is the one that was read: with the handle there its number is its own.
        let is_it = read_entry(pid).is_some_and(|entry| entry.started == started);
        (is_it && has_argument(pid, arguments) && writes(pid, identity)).then_some(process)
    };
    let holders: Vec<_> = ProcessTable::read().entries.into_iter().filter_map(open).collect();
    for process in &holders {
        tracing::warn!("process {} does not end its job and is killed", process.pid);
        send(process, Signal::KILL);
    }
}

/// A process that has just ended is no error, and of one that we may not signal
/// the caller learns by still finding it.
fn send(process: &Process, signal: Signal) {
    let _ = pidfd_send_signal(&process.handle, signal);
}

/// Makes this process the parent of every orphan below it.
pub(in crate::agent) fn adopt_orphans() -> std::io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Does this process have children besides these? Where the kernel keeps no list
/// of children the answer may be yes by mistake: then somebody looks in vain.
pub(in crate::agent) fn has_other_children(leaders: &[i32]) -> bool {
    // Looks at nothing and takes nothing: it fails when there are no children.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if matches!(waitid(WaitId::All, options), Err(Errno::CHILD)) {
        return false;
    }
    if leaders.is_empty() {
        return true;
    }
    own_children().is_none_or(|pids| pids.iter().any(|pid| !leaders.contains(pid)))
}
