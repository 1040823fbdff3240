//! `jobs --follow`: the same lines, kept fresh. On a terminal they change in place; elsewhere
//! those are printed again that have changed.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::line;
use crate::cli::signals::Signals;
use crate::cli::terminal::refuse;
use crate::dispatch::{Dispatcher, JobFilter, JobSummary};

/// How often they are looked at: times go on by themselves.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Follows jobs until a signal; they go on then.
pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    wanted: &JobFilter,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut shown = Shown { json, ..Shown::default() };
    loop {
        match dispatcher.jobs(wanted.clone()).await {
            Ok(jobs) => match shown.show(jobs) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(ExitCode::SUCCESS);
                }
                shown => shown?,
            },
            Err(refusal) => {
                refuse(&refusal, json);
                return Ok(ExitCode::FAILURE);
            }
        }
        tokio::select! {
            code = signals.next() => return Ok(code),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        // Also where nothing changes: nobody would ever see it.
        if is_closed() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Does nobody read any more what is written here?
fn is_closed() -> bool {
    let output = io::stdout();
    let mut descriptors = [PollFd::new(&output, PollFlags::empty())];
    let at_once = Timespec::default();
    poll(&mut descriptors, Some(&at_once)).is_ok_and(|ready| ready > 0)
        && descriptors[0].revents().contains(PollFlags::ERR)
}

/// What was shown last.
#[derive(Default)]
struct Shown {
    json: bool,
    jobs: Option<Vec<JobSummary>>,
    /// How many lines a terminal shows.
    lines: usize,
}

impl Shown {
    fn show(&mut self, jobs: Vec<JobSummary>) -> io::Result<()> {
        if self.json {
            if self.jobs.as_ref() != Some(&jobs) {
                write_line(&serde_json::to_string(&jobs)?)?;
            }
        } else if io::stdout().is_terminal() {
            self.redraw(&jobs)?;
        } else {
            let before = self.jobs.iter().flatten();
            let before: HashMap<&str, &JobSummary> =
                before.map(|job| (job.id.as_str(), job)).collect();
            // Oldest first: what comes later is newer.
            for job in jobs.iter().rev().filter(|job| before.get(job.id.as_str()) != Some(job)) {
                write_line(&line(job))?;
            }
        }
        self.jobs = Some(jobs);
        Ok(())
    }

    /// Writes the lines over those that are there, each no wider than the terminal, and no
    /// more than it has room for.
    fn redraw(&mut self, jobs: &[JobSummary]) -> io::Result<()> {
        let (height, width) = console::Term::stdout().size();
        let room = usize::from(height).saturating_sub(1).max(1);
        let mut output = anstream::stdout().lock();
        if self.lines > 0 {
            write!(output, "\x1b[{}A\x1b[J", self.lines)?;
        }
        for job in jobs.iter().take(room) {
            let line = line(job);
            writeln!(output, "{}", console::truncate_str(&line, usize::from(width), "…"))?;
        }
        self.lines = jobs.len().min(room);
        output.flush()
    }
}

/// Unlike `print` it tells where nobody reads any more.
fn write_line(line: &str) -> io::Result<()> {
    let mut output = anstream::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
