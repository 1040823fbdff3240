//! `parallel`: several tasks at once, and what is made of their answers.

use std::process::ExitCode;
use std::sync::Arc;

use super::command_line::ParallelArgs;
use super::items::{self, named};
use super::progress::Form;
use super::terminal::{BAD, BOLD, GOOD, NOTE, note, print, print_json, print_text, refuse, shown};
use super::waiting::wait;
use crate::agent::ErrorType;
use crate::dispatch::{Aggregated, Dispatcher, ParallelReply, Reply};

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: ParallelArgs,
) -> anyhow::Result<ExitCode> {
    let ParallelArgs { file, aggregate, policy, json } = arguments;
    // Before signals are caught: who types the tasks can still leave.
    let mut call = match items::read(file.as_deref()) {
        Ok(call) => call,
        Err(refusal) => {
            refuse(&refusal, json);
            return Ok(ExitCode::FAILURE);
        }
    };
    call.aggregator = aggregate.map_or(call.aggregator, |name| named(&name));
    call.policy = policy.map_or(call.policy, |name| named(&name));
    let form = Form::Several(call.dispatches.len());
    let work = |listener| async move { dispatcher.parallel(call, &listener).await };
    wait(dispatcher, form, work, |reply| match reply {
        Ok(reply) => show(&reply, json),
        Err(refusal) => {
            refuse(&refusal, json);
            Ok(ExitCode::FAILURE)
        }
    })
    .await
}

/// Shows all answers, and the one that was made of them.
pub(super) fn show(reply: &ParallelReply, json: bool) -> anyhow::Result<ExitCode> {
    let one = reply.aggregated();
    if json {
        print_json(reply)?;
    } else {
        for (number, member) in reply.replies().iter().enumerate() {
            if number > 0 {
                print("");
            }
            show_member(member, one)?;
        }
        if let Some(one) = one {
            print("");
            show_one(one)?;
        }
    }
    let answered = |member: &Reply| member.success || is_not_needed(member, one);
    let all = reply.replies().iter().all(answered) && one.is_none_or(|one| one.success);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Was it ended because the policy had its answer?
fn is_not_needed(member: &Reply, one: Option<&Aggregated>) -> bool {
    member.error_type == Some(ErrorType::Cancelled) && one.is_some_and(|one| one.success)
}

fn show_member(reply: &Reply, one: Option<&Aggregated>) -> anyhow::Result<()> {
    let Reply { agent, result, error, hint, outcome, .. } = reply;
    let (style, word) = match reply.success {
        true => (GOOD, "OK"),
        false if is_not_needed(reply, one) => (NOTE, "NOT NEEDED"),
        false => (BAD, "FAILED"),
    };
    let reports = match outcome.as_deref() {
        Some("partial") => ", agent reports PARTIAL",
        Some("blocked") => ", agent reports BLOCKED",
        _ => "",
    };
    print(&format!("{BOLD}## Agent: {}{BOLD:#} {style}[{word}{reports}]{style:#}", shown(agent)));
    show_answer(result, error.as_deref())?;
    for text in [hint, &reply.policy_fallback, &reply.policy_error].into_iter().flatten() {
        note(&format!("{agent}: {text}"));
    }
    note_gaps(reply);
    Ok(())
}

fn show_one(one: &Aggregated) -> anyhow::Result<()> {
    let Aggregated { agent, policy, stopped, result, error, hint, .. } = one;
    let (style, word) = if one.success { (GOOD, "OK") } else { (BAD, "FAILED") };
    let by = agent.as_ref().map(|agent| format!(", from {agent}")).unwrap_or_default();
    let stopped = stopped.map(|what| format!(", stopped: {what}")).unwrap_or_default();
    let heading = format!("## Answer by policy {policy}{by}{stopped}");
    print(&format!("{BOLD}{}{BOLD:#} {style}[{word}]{style:#}", shown(&heading)));
    show_answer(result, error.as_deref())?;
    for text in [hint, &one.policy_fallback].into_iter().flatten() {
        note(text);
    }
    for step in &one.steps {
        note_gaps(&step.reply);
    }
    Ok(())
}

/// What the journal misses is no agent's fault, and is told in one of the replies only.
fn note_gaps(reply: &Reply) {
    if let Some(error) = &reply.store_error {
        note(error);
    }
}

/// What was said, and what then went wrong: also of a failure it was paid for.
pub(super) fn show_answer(result: &str, error: Option<&str>) -> anyhow::Result<()> {
    if !result.is_empty() || error.is_none() {
        print_text(result)?;
    }
    if let Some(error) = error {
        print(&format!("{BAD}error:{BAD:#} {}", shown(error)));
    }
    Ok(())
}
