//! What the end of a run of `claude` means.
//!
//! No single sign is enough: an API error comes with `subtype` success, an
//! interrupt with exit code 0, a refused tool with both. Structured fields decide
//! first; words only where an error has no fields that say more.

use super::stream::{RunResult, Stream};
use crate::agent::cli::Ending;
use crate::agent::outcome::{ErrorType, Exit, Failure, Outcome, StopReason};

/// How much of standard error or of stray output an error quotes, in bytes.
const QUOTE_BOUND: usize = 2000;

/// How the run ended.
pub(super) fn outcome(stream: Stream, ending: &Ending) -> Outcome {
    let mut outcome = Outcome {
        session_id: session(&stream, ending),
        cost_usd: stream.added_cost,
        tokens: stream.tokens.total(),
        duration_ms: u64::try_from(ending.elapsed.as_millis()).ok(),
        ended_by_us: ending.stopped.map(|stopped| stopped.reason),
        ..Outcome::default()
    };
    let Some(result) = &stream.result else {
        let failure = match ending.stopped {
            Some(stopped) => ended_by_us(stopped.reason, ending),
            None => no_result(&stream, ending),
        };
        outcome.failure = Some(failure);
        outcome.text = stream.last_text;
        outcome.denied_tools = stream.denied;
        return outcome;
    };
    outcome.cost_usd = stream.added_cost.or(result.total_cost_usd);
    outcome.duration_ms = result.duration_ms.or(outcome.duration_ms);
    outcome.turns = result.turns;
    outcome.failure = failure(&stream, result, ending);
    if outcome.success() {
        outcome.hint = denial_hint(&stream.denied);
    }
    // An error's own text is its message; what the agent said last is worth more.
    outcome.text = match stream.result {
        Some(result) if !result.is_error => result.text,
        _ => stream.last_text,
    };
    outcome.denied_tools = stream.denied;
    outcome
}

/// The conversation that can be resumed. Its id is known before the start, so an
/// end that came from here loses no work, even before the CLI told the id. Without
/// a turn there is nothing to resume, whatever id the CLI tells.
fn session(stream: &Stream, ending: &Ending) -> Option<String> {
    if stream.result.as_ref().is_some_and(|result| result.turns == Some(0)) {
        return None;
    }
    let asked = || ending.stopped.map(|_| stream.asked_session.clone());
    stream.session.clone().or_else(asked)
}

fn failure(stream: &Stream, result: &RunResult, ending: &Ending) -> Option<Failure> {
    if result.is_error || result.subtype != "success" {
        return Some(match ending.stopped {
            // The error is the CLI's answer to our own signal.
            Some(stopped) if !stopped.after_result => ended_by_us(stopped.reason, ending),
            _ => error(stream, result, ending),
        });
    }
    if result.turns == Some(0) {
        return Some(
            Failure::new(
                ErrorType::CliError,
                "the agent CLI answered by itself and asked no model; it took the prompt for one of its own commands",
            )
            .hint("Begin the task with a word instead of `/`."),
        );
    }
    match ending.exit {
        Some(Exit::Code(0)) => None,
        _ if ending.stopped.is_some() => None,
        exit => Some(Failure::new(
            ErrorType::CliError,
            with_stderr(
                &format!("the agent CLI gave a result and then ended with {}", show(exit)),
                ending,
            ),
        )),
    }
}

/// A result that says it is an error.
fn error(stream: &Stream, result: &RunResult, ending: &Ending) -> Failure {
    let message = message(result, ending);
    if result.subtype == "error_max_budget_usd" || result.terminal_reason == "budget_exhausted" {
        return Failure::new(ErrorType::Budget, message)
            .hint("Raise `max_budget_usd` of this agent in agents.yaml, or ask for less at once.");
    }
    if is_usage_limit(stream, result) {
        return Failure::new(ErrorType::UsageLimit, message)
            .hint("Wait until the limit is reset; every agent on this account meets it.");
    }
    if !stream.denied.is_empty() {
        let failure = Failure::new(ErrorType::Permission, message);
        return match denial_hint(&stream.denied) {
            Some(hint) => failure.hint(hint),
            None => failure,
        };
    }
    let failure = Failure::new(ErrorType::CliError, message);
    let unauthenticated = result.api_error_status == Some(401)
        || stream.api_error.as_deref() == Some("authentication_failed")
        || (result.api_error_status.is_none() && result.text.starts_with("Not logged in"));
    if unauthenticated {
        failure.hint("Start `claude` in a terminal and log in with /login.")
    } else if result.api_error_status == Some(404) {
        failure.hint("Correct `model` of this agent in agents.yaml, or leave it out.")
    } else if result.terminal_reason == "blocking_limit" {
        failure.hint(
            "Ask for less at once: name files for the agent to read instead of their content.",
        )
    } else {
        failure
    }
}

fn message(result: &RunResult, ending: &Ending) -> String {
    let errors: Vec<&str> = result.errors.iter().map(|error| error.trim()).collect();
    if !result.text.trim().is_empty() {
        head(result.text.trim()).to_owned()
    } else if errors.iter().any(|error| !error.is_empty()) {
        head(&errors.join("; ")).to_owned()
    } else if !result.subtype.is_empty() && result.subtype != "success" {
        with_stderr(&format!("the agent CLI reported `{}`", result.subtype), ending)
    } else {
        with_stderr("the agent CLI reported an error and gave no reason", ending)
    }
}

/// Did the account's limit end it? A model's own words about limits do not count:
/// the text is looked at only where the CLI itself speaks, about no HTTP error.
fn is_usage_limit(stream: &Stream, result: &RunResult) -> bool {
    if result.api_error_status == Some(429)
        || result.api_error_type == "rate_limit_error"
        || stream.api_error.as_deref() == Some("rate_limit")
    {
        return true;
    }
    if !result.is_error || result.subtype != "success" || result.api_error_status.is_some() {
        return false;
    }
    let text = result.text.to_lowercase();
    let names = ["usage limit", "session limit", "weekly limit", "5-hour limit"];
    let verbs = ["reached", "hit your", "resets"];
    names.iter().any(|name| text.contains(name)) && verbs.iter().any(|verb| text.contains(verb))
}

fn ended_by_us(reason: StopReason, ending: &Ending) -> Failure {
    let seconds = ending.timeout.as_secs_f64();
    match reason {
        StopReason::Timeout => Failure::new(
            ErrorType::Timeout,
            format!("the agent had not finished after {seconds} s and was ended"),
        )
        .hint("Give it more time, with `timeout_seconds` for this once or `timeout` of this agent in agents.yaml, or go on with the session_id of this reply."),
        StopReason::Cancelled => {
            Failure::new(ErrorType::Cancelled, "the caller gave up, and the agent was ended")
        }
        StopReason::OutputLimit => Failure::new(
            ErrorType::CliError,
            format!(
                "the agent CLI wrote more than {} MiB and was ended",
                crate::agent::STDOUT_BOUND / (1024 * 1024)
            ),
        ),
        StopReason::RunnerLost => Failure::new(
            ErrorType::Lost,
            "the process that runs the agents died, and this agent was ended",
        )
        .hint("Ask again, or go on with the session_id of this reply: dispatch_session does. The next dispatch starts a new process for it."),
    }
}

/// It ended by itself and said nothing that is a result.
fn no_result(stream: &Stream, ending: &Ending) -> Failure {
    let what = format!("the agent CLI ended with {} and gave no result", show(ending.exit));
    let said = if ending.stderr.trim().is_empty() { &stream.other_output } else { &ending.stderr };
    let failure = Failure::new(ErrorType::CliError, quoting(&what, said));
    if ending.exit != Some(Exit::Code(0)) {
        return failure;
    }
    // Another program than the CLI, as a rule.
    failure.hint("Look at `command` in agents.yaml: the program has to print the events of `claude -p --output-format stream-json` and end with a result.")
}

fn denial_hint(denied: &[String]) -> Option<String> {
    if denied.is_empty() {
        return None;
    }
    Some(format!(
        "The agent was not allowed to use {}: list what it may use under `allowed_tools` of this agent in agents.yaml and not under `disallowed_tools`, or set its `permission_mode`.",
        denied.join(", ")
    ))
}

fn show(exit: Option<Exit>) -> String {
    exit.map_or_else(|| "an unknown exit code".to_owned(), |exit| exit.to_string())
}

fn with_stderr(what: &str, ending: &Ending) -> String {
    quoting(what, &ending.stderr)
}

fn quoting(what: &str, said: &str) -> String {
    let said = said.trim();
    if said.is_empty() { what.to_owned() } else { format!("{what}: {}", tail(said)) }
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(QUOTE_BOUND)]
}

fn tail(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(QUOTE_BOUND))..]
}
