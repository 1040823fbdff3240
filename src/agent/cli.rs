//! The one seam behind which everything particular to an agent CLI lies.

use std::time::Duration;

use super::job::{Job, RunEvent};
use super::outcome::{Exit, Outcome, StopReason};
use super::request::{Refusal, RunRequest};

/// An agent CLI: how it is started and how its output is read.
pub trait Cli: Send + Sync {
    /// The process that carries out this request. Starts nothing.
    fn job(&self, request: &RunRequest) -> Result<Job, Refusal>;

    /// Does this variable of the environment decide who answers: which account, which
    /// service, which settings?
    fn decides(&self, variable: &str) -> bool;

    /// The command line with which a person goes on with a session, in its directory.
    fn resume(&self, command: &[String], session: &str) -> Vec<String>;

    /// What makes sense of the output of a process that carries this session on.
    fn reader(&self, session: &str) -> Box<dyn Reader>;
}

/// Makes sense of the standard output of one run, line by line.
pub trait Reader: Send {
    /// Takes one line, without its end, and tells what it means.
    fn line(&mut self, line: &str, observe: &mut (dyn FnMut(RunEvent) + Send));

    /// Has a result arrived?
    fn has_result(&self) -> bool;

    /// Says how the run ended, all lines having been read.
    fn outcome(self: Box<Self>, ending: &Ending) -> Outcome;
}

/// How the process ended, and what is known besides its standard output.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Absent when the process was lost sight of.
    pub exit: Option<Exit>,
    /// Set when it was ended from here.
    pub stopped: Option<Stopped>,
    /// The end of its standard error.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
    /// The time the run had.
    pub timeout: Duration,
}

/// An end that was caused from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub reason: StopReason,
    /// Had a result arrived before?
    pub after_result: bool,
}
