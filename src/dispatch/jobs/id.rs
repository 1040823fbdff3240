//! Which job is meant.

use uuid::Uuid;

use crate::dispatch::reply::Refusal;

/// How many hexadecimal digits an id has.
const DIGITS: usize = 32;

/// A new one.
pub(super) fn new() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The id in what a caller gives for one: the id itself, or an agent's name, `-`, and the id.
pub(super) fn parse(given: &str) -> Result<String, Refusal> {
    let given = given.trim();
    let start = given.len().checked_sub(DIGITS).filter(|start| given.is_char_boundary(*start));
    let (before, id) = start.map_or(("", ""), |start| given.split_at(start));
    let id = id.to_ascii_lowercase();
    let is_prefix = before.is_empty() || before.ends_with('-');
    if is_prefix && id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(id);
    }
    let shown: String = given.chars().take(100).collect();
    Err(Refusal::new(format!("{shown:?} is no job id: it has {DIGITS} hexadecimal digits"))
        .with_hint(
            "'agent-dispatch jobs' and the tool dispatch_jobs list the jobs with their ids.",
        ))
}

/// There is no job with this id.
pub(super) fn unknown(id: &str) -> Refusal {
    Refusal::new(format!("no job has the id {id}"))
        .with_hint("'agent-dispatch jobs' and the tool dispatch_jobs list the jobs with their ids.")
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
    fn an_id_may_have_its_agent_before_it() {
        let id = "0123456789abcdef0123456789abcdef";
        for given in [id.to_owned(), format!("infra-{id}"), format!(" a-b-{}\n", id.to_uppercase())]
        {
            assert_eq!(parse(&given).expect("an id"), id);
        }
        let long = format!("infra{id}");
        for given in [
            "",
            "x",
            &id[1..],
            &long,
            &id.replace('f', "g"),
            &"ü".repeat(40),
            "../../../etc/passwd",
        ] {
            assert!(parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_jobs_conversation_is_known_from_its_id() {
        let id = new();
        assert_eq!(session_of(&id).replace('-', ""), id);
    }
}
