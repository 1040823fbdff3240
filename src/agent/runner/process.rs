//! The runner process. It has threads and blocking calls, no reactor: it waits for
//! jobs on one thread and for the end of its children on another.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{WaitId, WaitIdOptions, WaitOptions, WaitStatus, setsid, wait, waitid};

use super::table::Table;
use super::wire::{self, Notice, PROTOCOL, Request, StartError};
use crate::agent::job::{Job, RUN_MARK};
use crate::agent::outcome::Exit;
use crate::agent::tree;

/// The runner's whole life; its socket to the server is its standard input. It
/// returns when the server is gone and all runs have been ended.
pub fn main() -> io::Result<()> {
    // Out of the reach of the terminal's signals, and of those to our group.
    setsid()?;
    tree::adopt_orphans()?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let table = Table::new(socket.try_clone()?);
    let reaper = Arc::clone(&table);
    thread::spawn(move || reap(&reaper));
    let served = serve(&socket, &table);
    table.stop_all(tree::ORPHAN_GRACE);
    table.wait_until_empty(tree::ORPHAN_GRACE + LAST_PATIENCE);
    served
}

/// How long the ended processes may take to go, beyond their grace.
const LAST_PATIENCE: Duration = Duration::from_secs(6);

/// Does what the server asks, until the server is gone.
fn serve(socket: &UnixStream, table: &Arc<Table>) -> io::Result<()> {
    loop {
        let (request, descriptors) = match wire::receive(socket) {
            Ok(Some(received)) => received,
            Ok(None) => return Ok(()),
            // A server that was killed with messages unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        };
        match request {
            Request::Hello { protocol: PROTOCOL } => {}
            Request::Hello { protocol } => {
                let message = format!(
                    "the server speaks version {protocol} of the runner's protocol, this program {PROTOCOL}; restart the server"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            Request::Start { job } => start(table, &job, descriptors),
            Request::Stop { run, grace_ms } => {
                table.stop(&run, Duration::from_millis(grace_ms));
            }
            Request::StopAll { grace_ms } => table.stop_all(Duration::from_millis(grace_ms)),
        }
    }
}

/// Standard input, output and error.
const STREAMS: usize = 3;

fn start(table: &Table, job: &Job, mut descriptors: Vec<OwnedFd>) {
    let held = descriptors.split_off(descriptors.len().min(STREAMS));
    let command = command(job, descriptors);
    // The lock is held from the spawn to the entry, so that the end of a process
    // is never seen before its beginning. Nothing else is spawned meanwhile, which
    // the tag needs.
    let mut state = table.lock();
    let spawned = command.and_then(|mut command| {
        tree::with_tag(&job.run, || command.spawn()).map_err(|error| describe(&error, job))
    });
    match spawned {
        Ok(child) => {
            // A pid fits: the kernel's own type is signed.
            state.enter(job, child.id().cast_signed(), held);
            state.tell(&Notice::Started { run: job.run.clone(), pid: child.id() });
        }
        Err(error) => state.tell(&Notice::Failed { run: job.run.clone(), error }),
    }
    drop(state);
    table.has_changed();
}

/// The command of a job. There is nothing to run before its `exec`: such a hook
/// would mean a fork instead of the much cheaper spawn.
fn command(job: &Job, descriptors: Vec<OwnedFd>) -> Result<Command, StartError> {
    check_directory(&job.directory)?;
    let program = find(job)?;
    let Ok::<[OwnedFd; STREAMS], _>([stdin, stdout, stderr]) = descriptors.try_into() else {
        let problem = "its descriptors did not arrive".to_owned();
        return Err(StartError::Other { program: job.program.clone(), problem });
    };
    let mut command = Command::new(program);
    command
        .args(&job.args)
        .current_dir(&job.directory)
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .process_group(0);
    for name in &job.environment.remove {
        command.env_remove(name);
    }
    command.envs(job.environment.set.iter().map(|(name, value)| (name, value)));
    command.env(RUN_MARK, mark(&job.run, env::var(RUN_MARK).ok().as_deref()));
    Ok(command)
}

/// The program's path, looked up as the job's own environment says.
fn find(job: &Job) -> Result<PathBuf, StartError> {
    let set = job.environment.set.iter().rev().find(|(name, _)| name == "PATH");
    let path = set.map(|(_, value)| value.into()).or_else(|| env::var_os("PATH"));
    let here = env::current_dir().unwrap_or_default();
    let program = job.program.clone();
    which::which_in(&job.program, path, here).map_err(|_| {
        if program.contains('/') && Path::new(&program).exists() {
            StartError::ProgramDenied { program, problem: "it is no executable file".to_owned() }
        } else {
            StartError::ProgramMissing { program }
        }
    })
}

/// The mark of a run, below the mark that this program runs under itself.
fn mark(run: &str, above: Option<&str>) -> String {
    match above {
        Some(above) if !above.is_empty() => format!("{above}/{run}"),
        _ => run.to_owned(),
    }
}

fn check_directory(directory: &Path) -> Result<(), StartError> {
    let problem = match fs::metadata(directory) {
        Ok(data) if data.is_dir() => return Ok(()),
        Ok(_) => "is not a directory".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "does not exist".to_owned(),
        Err(error) => format!("cannot be entered: {error}"),
    };
    Err(StartError::Directory { directory: directory.display().to_string(), problem })
}

fn describe(error: &io::Error, job: &Job) -> StartError {
    let (program, problem) = (job.program.clone(), error.to_string());
    match error.kind() {
        // The program is there, so this is about the interpreter it names.
        io::ErrorKind::NotFound => StartError::Other {
            program,
            problem: "the interpreter that its first line names does not exist".to_owned(),
        },
        io::ErrorKind::PermissionDenied => StartError::ProgramDenied { program, problem },
        _ => StartError::Other { program, problem },
    }
}

/// Reaps every child, the adopted ones too, for as long as the process lives.
fn reap(table: &Arc<Table>) {
    loop {
        // Only looks, so that no process is reaped before it was entered.
        let waited = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        if matches!(waited, Err(rustix::io::Errno::CHILD)) {
            table.wait_for_a_leader();
            continue;
        }
        let mut state = table.lock();
        let mut ended = Vec::new();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            ended.push((pid.as_raw_nonzero().get(), status));
        }
        let exits = ended.into_iter().filter_map(|(pid, status)| Some((pid, exit(status)?)));
        let endings: Vec<_> = exits.map(|(pid, exit)| state.reaped(pid, exit)).collect();
        drop(state);
        table.has_changed();
        for ending in endings {
            table.begin_end(ending);
        }
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    let code = status.exit_status().map(Exit::Code);
    code.or_else(|| status.terminating_signal().map(Exit::Signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_run_bears_the_outer_marks() {
        assert_eq!(mark("b", None), "b");
        assert_eq!(mark("b", Some("")), "b");
        assert_eq!(mark("c", Some("a/b")), "a/b/c");
    }

    #[test]
    fn a_directory_that_is_none_is_said_to_be_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let problem = |path: &Path| check_directory(path).unwrap_err().to_string();
        assert!(problem(&file).ends_with("is not a directory"));
        assert!(problem(&folder.path().join("none")).ends_with("does not exist"));
        check_directory(folder.path()).unwrap();
    }
}
