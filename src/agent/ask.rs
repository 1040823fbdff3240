//! Asking a program something about itself: a short run with no agent in it.

use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The most that is read of what it says, in bytes.
const MOST_SAID: u64 = 64 << 10;

/// How often it is looked whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    /// It ended with success.
    pub(crate) success: bool,
    /// What it wrote to standard output and standard error, its beginning where that is
    /// long.
    pub(crate) text: String,
}

/// Runs a program in `/` with nothing to read, for so long at most. Blocks; what it has
/// started by then is ended with it.
pub(crate) fn ask(command: &mut Command, patience: Duration) -> io::Result<Said> {
    // A file, as nobody has to empty it, and it may be kept open by others.
    let mut output = tempfile::tempfile()?;
    let mut child = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let deadline = Instant::now() + patience;
    // Not waited for before the signal: until then the group's number is nobody else's.
    let mut exited = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => sleep(LOOK_AGAIN),
        }
    };
    if exited.is_none() {
        let _ = kill_process_group(group, Signal::KILL);
        child.wait()?;
    }
    let Some(status) = exited.take() else {
        let seconds = patience.as_secs();
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("it gave no answer for {seconds} s and was ended"),
        ));
    };
    output.rewind()?;
    let mut bytes = Vec::new();
    output.take(MOST_SAID).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok(Said { success: status.success(), text })
}
