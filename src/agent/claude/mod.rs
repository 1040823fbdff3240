//! Claude Code: its command line, its events, its endings.

mod argv;
mod ending;
mod stream;
#[cfg(test)]
mod tests;

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

    fn reader(&self, request: &RunRequest) -> Box<dyn Reader> {
        Box::new(stream::Stream::new(request.session.id()))
    }
}
