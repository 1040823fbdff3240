//! The tag of a run: a number in a resource limit that limits nothing.
//!
//! A process can leave its parent, its session and its environment, but not its
//! limits: they pass through fork, exec and `env -i`, only their owner changes
//! them, and `/proc/PID/limits` tells them of every process. So each run gets
//! values of its own in two limits: on the time that a process under real-time
//! scheduling may go on without a pause (146,000 years), and on file locks, which
//! Linux has not counted since 2.4.25.
//!
//! Two, because an agent that dispatches in turn has the first replaced for what
//! runs below it. The second stays the outermost run's, so that its end finds
//! all that came of it, even where the servers in between are long gone.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};

/// The limit that holds the innermost run's tag, and its line in `/proc/PID/limits`.
const INNERMOST: (Resource, &str) = (Resource::Rttime, "Max realtime timeout");

/// The same for the outermost run's tag.
const OUTERMOST: (Resource, &str) = (Resource::Locks, "Max file locks");

/// No tag is lower, and no real limit as high. One bit below the sign: programs
/// that take limits for signed numbers see nothing odd.
const LOWEST: u64 = 1 << 62;

/// A run's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    pub(super) fn of(run: &str) -> Self {
        let digest = Sha256::digest(run);
        let number = digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
        Self(LOWEST | (number >> 2))
    }

    /// Does this process, dead or alive, bear the tag?
    pub(super) fn is_on(self, pid: i32) -> io::Result<bool> {
        Ok(self.is_in(&fs::read(format!("/proc/{pid}/limits"))?))
    }

    fn is_in(self, limits: &[u8]) -> bool {
        tags(limits).any(|tag| tag == self)
    }
}

/// Does this process, dead or alive, bear no run's tag?
pub(super) fn has_none(pid: i32) -> io::Result<bool> {
    Ok(tags(&fs::read(format!("/proc/{pid}/limits"))?).next().is_none())
}

/// The tags among the limits of a process.
fn tags(limits: &[u8]) -> impl Iterator<Item = Tag> {
    let lines = std::str::from_utf8(limits).unwrap_or_default().lines();
    lines.filter_map(|line| {
        let value = [INNERMOST, OUTERMOST].iter().find_map(|(_, name)| line.strip_prefix(name))?;
        let soft = value.split_ascii_whitespace().next()?.parse().ok()?;
        (soft >= LOWEST && soft != u64::MAX).then_some(Tag(soft))
    })
}

/// What is spawned in here bears the tag of this run. No other thread may spawn
/// meanwhile: limits are the whole process's.
///
/// Afterwards the limits are as before. The parent of all runs must not look like
/// a process of the last one, and what it inherited, the tags of the runs above,
/// is how those find it.
pub(in crate::agent) fn with_tag<T>(run: &str, spawn: impl FnOnce() -> T) -> T {
    let Tag(tag) = Tag::of(run);
    let (innermost, outermost) = (getrlimit(INNERMOST.0), getrlimit(OUTERMOST.0));
    set(INNERMOST.0, Rlimit { current: Some(tag), ..innermost });
    let below_another = outermost.current.is_some_and(|limit| limit >= LOWEST);
    if !below_another {
        set(OUTERMOST.0, Rlimit { current: Some(tag), ..outermost });
    }
    let spawned = spawn();
    set(INNERMOST.0, innermost);
    set(OUTERMOST.0, outermost);
    spawned
}

/// Where the hard limit is lower than a tag there is none, and the run is told by
/// its mark and its descent alone.
fn set(resource: Resource, limit: Rlimit) {
    if let Err(error) = setrlimit(resource, limit) {
        tracing::debug!("{resource:?} cannot carry the tag of a run: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(locks: &str, time: &str) -> String {
        format!(
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max file locks            {locks:20} unlimited            locks     \n\
             Max realtime timeout      {time:20} unlimited            us        \n"
        )
    }

    #[test]
    fn a_tag_is_found_in_either_limit_and_nowhere_else() {
        let tag = Tag::of("a");
        let text = tag.0.to_string();
        assert!(tag.is_in(limits("unlimited", &text).as_bytes()));
        assert!(tag.is_in(limits(&text, "unlimited").as_bytes()));
        assert!(!tag.is_in(limits("unlimited", "unlimited").as_bytes()));
        assert!(!tag.is_in(limits(&text[1..], &format!("{text}0")).as_bytes()));
        let elsewhere =
            limits(&text, &text).replace("file locks", "processes").replace("time", "size");
        assert!(!tag.is_in(elsewhere.as_bytes()));
        let hard = limits("0", "0").replace("unlimited", &text);
        assert!(!tag.is_in(hard.as_bytes()));
        assert!(!Tag::of("b").is_in(limits(&text, &text).as_bytes()));
    }

    #[test]
    fn any_id_has_a_tag_that_no_real_limit_can_be() {
        for run in ["", "a", "0123456789abcdef0123456789abcdef", "ü/\n"] {
            let Tag(tag) = Tag::of(run);
            assert!(tag >= LOWEST && i64::try_from(tag).is_ok(), "{run}");
        }
        // Whoever looks may be another build of this program than the one that set it.
        assert_eq!(Tag::of("a"), Tag(LOWEST | (0xca97_8112_ca1b_bdca >> 2)));
    }
}
