//! One run, from a request to its outcome.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::cli::{Cli, Ending, Reader, Stopped};
use super::job::{FORMAT, Job, RunEvent};
use super::outcome::{ErrorType, Exit, Failure, Outcome, StopReason};
use super::pipes::{Input, Lines, Output, Tail};
use super::request::RunRequest;
use super::runner::{Notice, Run, Runner, StartError, Streams};
use super::spool::Spool;
use super::tree;

/// The most that a run may write to its standard output, in bytes.
pub const STDOUT_BOUND: usize = 256 * 1024 * 1024;

/// How much of its standard error is kept, in bytes; the end counts.
const STDERR_KEPT: usize = 64 * 1024;

/// How long the runner may take, beyond the grace, to tell that a run is gone. One that
/// takes longer was stopped, say by an agent, and is given up.
const GONE_PATIENCE: Duration = tree::KILL_PATIENCE.saturating_add(Duration::from_secs(3));

/// Runs an agent and says how it ended. Dropped before that, it ends the agent. What is
/// `held` stays open until nothing of the run is left, also when this process is killed: its
/// session's lock, its slot, and the lock of the job that it belongs to.
pub async fn run(
    cli: &dyn Cli,
    runner: &Runner,
    request: &RunRequest,
    held: Vec<OwnedFd>,
    cancel: &CancellationToken,
    observe: &mut (dyn FnMut(RunEvent) + Send),
) -> Outcome {
    let job = match cli.job(request) {
        Ok(job) => job,
        Err(refusal) => return refusal.into(),
    };
    if cancel.is_cancelled() {
        return Outcome::failed(Failure::cancelled_before_start());
    }
    let mut reader = cli.reader(request.session.id());
    match execute(runner, &job, request, held, cancel, &mut *reader, observe).await {
        Ok(ending) => reader.outcome(&ending),
        Err(failure) => Outcome::failed(failure),
    }
}

/// Carries a job out and reads what it says.
async fn execute(
    runner: &Runner,
    job: &Job,
    request: &RunRequest,
    held: Vec<OwnedFd>,
    cancel: &CancellationToken,
    reader: &mut dyn Reader,
    observe: &mut (dyn FnMut(RunEvent) + Send),
) -> Result<Ending, Failure> {
    let started = Instant::now();
    let (run, mut pipes) = start(runner, job, request, held).map_err(|error| {
        Failure::new(ErrorType::CliError, format!("the agent could not be started: {error}"))
    })?;
    let mut watch = Watch {
        run,
        started: false,
        exit: None,
        stopped: None,
        patience: None,
        gone: false,
        lost: false,
    };
    let timeout = tokio::time::sleep(request.timeout);
    tokio::pin!(timeout);
    loop {
        let patience = watch.patience;
        tokio::select! {
            notice = watch.run.notice() => {
                watch.heard(notice, observe)?;
                if watch.lost {
                    watch.stop(StopReason::RunnerLost, reader, observe);
                }
                if watch.is_done() {
                    break;
                }
            }
            // What it says may be there before the notice that it runs, which comes first.
            bytes = pipes.stdout.step(), if watch.started && pipes.stdout.is_open() => {
                pipes.lines.push(bytes, |line| reader.line(line, observe));
                if pipes.lines.total() > STDOUT_BOUND {
                    watch.stop(StopReason::OutputLimit, reader, observe);
                    pipes.stdout.close();
                }
            }
            bytes = pipes.stderr.step(), if pipes.stderr.is_open() => pipes.tail.push(bytes),
            () = pipes.stdin.step(), if pipes.stdin.is_open() => {}
            () = &mut timeout, if watch.stopped.is_none() => {
                watch.stop(StopReason::Timeout, reader, observe);
            }
            () = cancel.cancelled(), if watch.stopped.is_none() => {
                watch.stop(StopReason::Cancelled, reader, observe);
            }
            () = at(patience) => {
                watch.run.give_up_runner();
                break;
            }
        }
    }
    pipes.drain(|line| reader.line(line, observe));
    Ok(Ending {
        exit: watch.exit,
        stopped: watch.stopped,
        stderr: pipes.tail.text(),
        elapsed: started.elapsed(),
        timeout: request.timeout,
    })
}

/// The server's ends of the pipes, and what came through them so far.
struct Pipes {
    stdin: Input,
    stdout: Output,
    stderr: Output,
    lines: Lines,
    tail: Tail,
}

fn start(
    runner: &Runner,
    job: &Job,
    request: &RunRequest,
    held: Vec<OwnedFd>,
) -> io::Result<(Run, Pipes)> {
    let ((stdin, to_child), (errors, stderr)) = (io::pipe()?, io::pipe()?);
    let (stdout, output) = if let Some(path) = &request.spool {
        let (child, spool) = Spool::create(path)?;
        (child, Output::spooled(spool))
    } else {
        let (from_child, child) = io::pipe()?;
        (child.into(), Output::new(from_child)?)
    };
    let pipes = Pipes {
        stdin: Input::new(to_child, &request.prompt)?,
        stdout: output,
        stderr: Output::new(errors)?,
        lines: Lines::default(),
        tail: Tail::new(STDERR_KEPT),
    };
    let (stdin, stderr) = (stdin.into(), stderr.into());
    let streams = Streams { stdin, stdout, stderr, held };
    Ok((runner.start(job, streams)?, pipes))
}

impl Pipes {
    /// Takes what the ended process has left in the pipes. Their end is not waited
    /// for: a process that it left behind may hold them for ever.
    fn drain(&mut self, mut line: impl FnMut(&str)) {
        // A file holds any number of them.
        let most = if self.stdout.is_spooled() { usize::MAX } else { MOST_CHUNKS };
        for _ in 0..most {
            let bytes = self.stdout.rest();
            if bytes.is_empty() || self.lines.total() > STDOUT_BOUND {
                break;
            }
            self.lines.push(bytes, &mut line);
        }
        self.lines.finish(line);
        for _ in 0..MOST_CHUNKS {
            let bytes = self.stderr.rest();
            if bytes.is_empty() {
                break;
            }
            self.tail.push(bytes);
        }
    }
}

/// A pipe holds no more than this many chunks. What comes after them was written by
/// somebody who outlives the agent.
const MOST_CHUNKS: usize = 16;

/// What is known of a run from the outside.
struct Watch {
    run: Run,
    /// It is known to run.
    started: bool,
    exit: Option<Exit>,
    /// Why it is being ended from here.
    stopped: Option<Stopped>,
    /// Until when to wait for that: what was read is not thrown away because
    /// cleaning up takes too long.
    patience: Option<tokio::time::Instant>,
    gone: bool,
    /// The runner died before the run ended.
    lost: bool,
}

impl Watch {
    fn heard(
        &mut self,
        notice: Option<Notice>,
        observe: &mut (dyn FnMut(RunEvent) + Send),
    ) -> Result<(), Failure> {
        match notice {
            Some(Notice::Started { pid, .. }) => {
                self.started = true;
                observe(RunEvent::Started { version: FORMAT, pid });
            }
            Some(Notice::Failed { error, .. }) => return Err(not_started(&error)),
            Some(Notice::Exited { exit, .. }) => self.exit = Some(exit),
            Some(Notice::Gone { .. }) => self.gone = true,
            None => {
                self.gone = true;
                self.lost = self.exit.is_none();
            }
        }
        Ok(())
    }

    /// After an end by itself nothing is waited for; an end from here is complete
    /// when nothing of the run is left.
    fn is_done(&self) -> bool {
        self.gone || (self.exit.is_some() && self.stopped.is_none())
    }

    fn stop(
        &mut self,
        reason: StopReason,
        reader: &dyn Reader,
        observe: &mut (dyn FnMut(RunEvent) + Send),
    ) {
        if self.stopped.is_none() {
            observe(RunEvent::Ending);
            self.run.stop(tree::GRACE);
            self.stopped = Some(Stopped { reason, after_result: reader.has_result() });
            self.patience = Some(tokio::time::Instant::now() + tree::GRACE + GONE_PATIENCE);
        }
    }
}

/// At this time, or never.
async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}

fn not_started(error: &StartError) -> Failure {
    let message = error.to_string();
    match error {
        StartError::Directory { .. } => Failure::new(ErrorType::NotFound, message)
            .hint("Correct `directory` of this agent in agents.yaml."),
        StartError::ProgramMissing { .. } => Failure::new(ErrorType::NotFound, message)
            .hint("Install it, or name the program to run with `command` in agents.yaml."),
        StartError::ProgramDenied { .. } => Failure::new(ErrorType::Permission, message)
            .hint("Make it executable, or name another program with `command` in agents.yaml."),
        StartError::Other { .. } => Failure::new(ErrorType::CliError, message),
    }
}
