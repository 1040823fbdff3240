//! The processes of this world, and signals to them.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::support::World;

/// Sends a signal to a process if it is one of this world: its number may be another's by now.
pub(super) fn send(world: &World, pid: u32, signal: Signal) -> bool {
    let Some(number) = Pid::from_raw(pid.cast_signed()) else { return false };
    // Held from before the look to after the signal.
    let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { return false };
    let config = format!("AGENT_DISPATCH_CONFIG={}", world.config_file().display());
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let is_ours = String::from_utf8_lossy(&environment).split('\0').any(|line| line == config);
    is_ours && pidfd_send_signal(process, signal).is_ok()
}

/// Stops a process for a while, on a thread of its own.
pub(super) fn stop_for(scope: &'static World, pid: u32, time: Duration) -> bool {
    let stopped = send(scope, pid, Signal::STOP);
    if stopped {
        std::thread::spawn(move || {
            std::thread::sleep(time);
            send(scope, pid, Signal::CONT);
        });
    }
    stopped
}

/// The process that keeps this job, if there is one.
pub(super) fn keeper(job: &str) -> Option<u32> {
    find(|line| line.ends_with(&format!("\0keep-job\0{job}\0")))
}

/// The runner below this process, if there is one.
pub(super) fn runner_of(keeper: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"));
    let threads = fs::read_dir(format!("/proc/{keeper}/task")).ok()?.flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let mut all: Vec<u32> = lists
        .chain(children)
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    all.retain(|pid| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0runner\0"))
    });
    all.first().copied()
}

fn find(is_it: impl Fn(&str) -> bool) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        is_it(&String::from_utf8_lossy(&line))
    })
}
