//! `dialogue`: two agents talk until a matter is resolved.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::command_line::DialogueArgs;
use super::items::named;
use super::parallel::show_answer;
use super::progress::{Form, shown_cost, shown_time};
use super::terminal::{
    BAD, BOLD, FAINT, GOOD, note, print, print_json, print_text, refuse, report, shown,
};
use super::waiting::wait;
use crate::dispatch::{Dialogue, DialogueReply, Dispatcher, Spoken};

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: DialogueArgs,
) -> anyhow::Result<ExitCode> {
    let DialogueArgs { requester, responder, topic, rounds, policy, json } = arguments;
    let policy = policy.and_then(|name| named(&name));
    let call = Dialogue { requester, responder, topic, max_rounds: rounds, policy };
    let work = |listener| async move { dispatcher.dialogue(call, &listener).await };
    wait(dispatcher, Form::Turns, work, |reply| match reply {
        Ok(reply) => show(&reply, json),
        Err(refusal) => {
            refuse(&refusal, json);
            Ok(ExitCode::FAILURE)
        }
    })
    .await
}

/// Shows what both said, and the answer.
pub(super) fn show(reply: &DialogueReply, json: bool) -> anyhow::Result<ExitCode> {
    let DialogueReply { resolved, reason, error, hint, .. } = reply;
    if json {
        print_json(reply)?;
    } else {
        for spoken in &reply.conversation {
            show_turn(spoken)?;
            print("");
        }
        let (style, word) = if *resolved { (GOOD, "RESOLVED") } else { (BAD, "NOT RESOLVED") };
        print(&format!("{BOLD}## Answer{BOLD:#} {style}[{word}]{style:#}"));
        print_text(&reply.final_answer)?;
        note(&sum(reply));
        if let Some(reason) = reason {
            note(&format!("the dialogue ended without being resolved: {reason}"));
        }
        for text in [&reply.policy_fallback, &reply.store_error].into_iter().flatten() {
            note(text);
        }
        if let Some(error) = error {
            report(error, hint.as_deref());
        }
    }
    Ok(if *resolved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show_turn(spoken: &Spoken) -> anyhow::Result<()> {
    let Spoken { agent, role, round, message, error, .. } = spoken;
    let heading = format!("## Round {round}: {agent}");
    print(&format!("{BOLD}{}{BOLD:#} {FAINT}({role}){FAINT:#}", shown(&heading)));
    show_answer(message, error.as_deref())
}

/// What it took in all.
fn sum(reply: &DialogueReply) -> String {
    let turns = reply.conversation.len();
    let time = shown_time(Duration::from_millis(reply.total_duration_ms));
    let cost = shown_cost(reply.total_cost_usd);
    let turns = if turns == 1 { "1 turn".to_owned() } else { format!("{turns} turns") };
    format!("the dialogue took {turns}, {time} and {cost}")
}
