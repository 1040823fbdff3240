//! Who descends from a run, and ending them.
//!
//! A process leaves its parent, its group and its session as it likes. So a run
//! is not a group: it is whatever the platform can trace back to it, looked up
//! anew until nothing more appears.

use std::thread;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(target_os = "linux")]
mod tag;
#[cfg(target_os = "linux")]
pub(super) use linux::{Tree, adopt_orphans, has_other_children, kill_holders};
#[cfg(target_os = "linux")]
pub(super) use tag::with_tag;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(super) use macos::{Tree, adopt_orphans, has_other_children, kill_holders, with_tag};

/// How long a process gets between being asked to end and being killed.
pub const GRACE: Duration = Duration::from_secs(2);

/// The same where nobody waits for a result any more: a dead server or a dead
/// runner leaves nothing behind for longer than two seconds.
pub(super) const ORPHAN_GRACE: Duration = Duration::from_millis(1500);

/// How often a run that is ending is looked at, unless one of its processes ends.
const STEP: Duration = Duration::from_millis(100);

/// How long a run is left alone after one of its processes ended. Without it, one
/// that starts another when asked to end would keep us asking without a pause.
const PAUSE: Duration = Duration::from_millis(10);

/// How long a killed process may take to go. One that hangs in the kernel goes
/// when the kernel lets it.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Ends all of a run: asks, waits until `deadline`, then kills. The deadline may move
/// while this runs, and so may the answer to whether orphans that nobody can attribute
/// belong to this run. Says how many are left, 0 as a rule.
pub(super) fn end(
    tree: &mut Tree,
    deadline: impl Fn() -> Instant,
    takes_strays: impl Fn() -> bool,
) -> usize {
    loop {
        let left = deadline().saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        if tree.is_gone(takes_strays()) {
            return 0;
        }
        tree.ask();
        tree.wait(left.min(STEP));
        thread::sleep(left.min(PAUSE));
    }
    let patience = Instant::now() + KILL_PATIENCE;
    loop {
        // Held first and killed when nothing new appears: a process that is held
        // starts no other behind our back.
        loop {
            if tree.is_gone(takes_strays()) {
                return 0;
            }
            if Instant::now() > patience {
                // Whatever could not be held.
                tree.kill();
                return tree.count();
            }
            if !tree.hold(takes_strays()) {
                break;
            }
        }
        tree.kill();
        tree.wait(STEP);
    }
}
