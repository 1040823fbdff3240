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

/// The processes of this world, with their command lines.
pub(super) fn all(world: &World) -> Vec<String> {
    let config = format!("AGENT_DISPATCH_CONFIG={}", world.config_file().display());
    let read = |path: std::path::PathBuf| {
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    };
    let processes = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
    let ours = processes
        .filter(|process| read(process.join("environ")).split('\0').any(|line| line == config));
    ours.map(|process| format!("{} {}", process.display(), read(process.join("cmdline")))).collect()
}

/// The process that keeps this job, if there is one.
pub(super) fn keeper(job: &str) -> Option<u32> {
    find(|line| line.ends_with(&format!("\0keep-job\0{job}\0")))
}

fn find(is_it: impl Fn(&str) -> bool) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        is_it(&String::from_utf8_lossy(&line))
    })
}
