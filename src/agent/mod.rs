//! The child: how an agent is run.
//!
//! A [`RunRequest`] says what is wanted in no CLI's own words. A [`Cli`] turns it
//! into a [`Job`], which is plain data, and makes sense of what the job writes. The
//! runner, a process of its own, starts the job and sees to it that nothing of it
//! is left behind. [`run`] does all of it and returns an [`Outcome`].
//!
//! | file      | what it is about                                              |
//! |-----------|---------------------------------------------------------------|
//! | `request` | what is asked for                                             |
//! | `cli`     | the seam to a particular agent CLI                            |
//! | `claude/` | the one that is built                                         |
//! | `job`     | what is run and what happens meanwhile, as data               |
//! | `runner/` | the process that runs it                                      |
//! | `tree/`   | what descends from a run, and ending it                       |
//! | `pipes`   | a child's input and output, and `spool` its output in a file  |
//! | `run`     | one run from beginning to end                                 |
//! | `lost`    | a run whose runner and server were both killed                |
//! | `outcome` | how it ended                                                  |
//! | `ask`     | a short question to a program, such as which version it is    |

pub(crate) mod ask;
mod claude;
mod cli;
mod job;
mod lost;
mod outcome;
mod pipes;
mod request;
mod run;
mod runner;
mod spool;
mod tree;

pub use claude::{Claude, McpServers, Registration, shown_registration};
pub use cli::{Cli, Ending, Reader, Stopped};
pub use job::{Environment, FORMAT, Job, RUN_MARK, RunEvent};
pub use lost::{end_leftovers, kill_holders, read_spool};
pub use outcome::{ErrorType, Exit, Failure, Outcome, StopReason, Tokens};
pub use request::{Refusal, RunRequest, Session};
pub use run::{STDOUT_BOUND, run};
pub use runner::{Runner, runner_main};
pub use tree::GRACE;
