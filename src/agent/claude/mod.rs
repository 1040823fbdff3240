//! Claude Code: its command line, its events, its endings.

mod argv;
mod ending;
mod registration;
mod stream;
#[cfg(test)]
mod tests;
mod tokens;

pub use registration::{McpServers, Registration, shown as shown_registration};

use super::cli::{Cli, Reader};
use super::job::Job;
use super::request::{Refusal, RunRequest};

/// The `claude` program in its print mode.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claude;

impl Cli for Claude {
    fn job(&self, request: &RunRequest) -> Result<Job, Refusal> {
        argv::job(request)
    }

    fn decides(&self, variable: &str) -> bool {
        argv::decides(variable)
    }

    fn resume(&self, command: &[String], session: &str) -> Vec<String> {
        let words = command.iter().map(String::as_str).chain(["--resume", session]);
        words.map(str::to_owned).collect()
    }

    fn reader(&self, session: &str) -> Box<dyn Reader> {
        Box::new(stream::Stream::new(session))
    }
}
