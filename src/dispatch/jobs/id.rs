//! Which job is meant.

use uuid::Uuid;

use crate::dispatch::reply::Refusal;
use crate::dispatch::run_id::{self, DIGITS};

const LISTED: &str =
    "'agent-dispatch jobs' and the tool dispatch_jobs list the jobs with their ids.";

/// A new one.
pub(super) fn new() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The id in what a caller gives for one.
pub(super) fn parse(given: &str) -> Result<String, Refusal> {
    run_id::in_text(given).ok_or_else(|| {
        let shown: String = given.trim().chars().take(100).collect();
        Refusal::new(format!("{shown:?} is no job id: it has {DIGITS} hexadecimal digits"))
            .with_hint(LISTED)
    })
}

/// There is no job with this id.
pub(super) fn unknown(id: &str) -> Refusal {
    Refusal::new(format!("no job has the id {id}")).with_hint(LISTED)
}

/// The conversation that a job begins. It is known from the job alone, so that it can go on
/// whatever became of the rest.
pub(in crate::dispatch) fn session_of(job: &str) -> String {
    Uuid::try_parse(job).unwrap_or_else(|_| Uuid::new_v4()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_conversation_is_known_from_its_id() {
        let id = new();
        assert_eq!(session_of(&id).replace('-', ""), id);
    }
}
