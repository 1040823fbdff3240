//! `dispatch` and `test`: one task for one agent.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::command_line::DispatchArgs;
use super::progress::Form;
use super::terminal::{FAINT, note, print, print_json, print_text, refuse, report};
use super::waiting::wait;
use crate::dispatch::{Conversation, Dispatcher, Preview, Refusal, Reply, Request};

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: DispatchArgs,
) -> anyhow::Result<ExitCode> {
    let request = Request {
        agent: arguments.name,
        task: arguments.task,
        context: arguments.context,
        caller: arguments.caller,
        goal: arguments.goal,
        timeout_seconds: arguments.timeout,
        conversation: arguments.session.map_or(Conversation::None, |id| Conversation::from_id(&id)),
        fresh: arguments.fresh,
        form: crate::dispatch::Form::Cli,
        ..Request::default()
    };
    if arguments.dry_run {
        return match dispatcher.preview(request).await {
            Ok(Ok(preview)) => show_preview(&preview, arguments.json),
            Ok(Err(reply)) => show(&reply, arguments.json),
            Err(refusal) => Ok(refused(&refusal, arguments.json)),
        };
    }
    dispatch(dispatcher, request, arguments.json).await
}

pub(super) async fn test(
    dispatcher: &Arc<Dispatcher>,
    agent: String,
    task: String,
) -> anyhow::Result<ExitCode> {
    dispatch(
        dispatcher,
        Request { agent, task, form: crate::dispatch::Form::Cli, ..Request::default() },
        false,
    )
    .await
}

async fn dispatch(
    dispatcher: &Arc<Dispatcher>,
    request: Request,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let work = |listener| async move { dispatcher.dispatch(request, &listener).await };
    wait(dispatcher, Form::One, work, |reply| match reply {
        Ok(reply) => {
            let code = show(&reply, json)?;
            if let Some(command) = dispatcher.resume_by_hand(&reply).filter(|_| !json) {
                note(&format!("to go on with this conversation by hand: {command}"));
            }
            Ok(code)
        }
        Err(refusal) => Ok(refused(&refusal, json)),
    })
    .await
}

fn refused(refusal: &Refusal, json: bool) -> ExitCode {
    refuse(refusal, json);
    ExitCode::FAILURE
}

fn show(reply: &Reply, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        print_json(reply)?;
    } else {
        // What an agent said before it failed was paid for all the same.
        if !reply.result.is_empty() {
            print_text(&reply.result)?;
        }
        if let Some(outcome) = reply.outcome.as_deref().filter(|outcome| *outcome != "done") {
            note(&format!("the agent reports its work as {outcome}"));
        }
        for text in
            [&reply.policy_fallback, &reply.policy_error, &reply.store_error].into_iter().flatten()
        {
            note(text);
        }
        if let Some(error) = &reply.error {
            report(error, reply.hint.as_deref());
        } else if let Some(hint) = &reply.hint {
            note(hint);
        }
    }
    Ok(if reply.success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show_preview(preview: &Preview, json: bool) -> anyhow::Result<ExitCode> {
    let job = &preview.job;
    let command: Vec<&str> =
        std::iter::once(job.program.as_str()).chain(job.args.iter().map(String::as_str)).collect();
    if let Some(fallback) = &preview.fallback {
        note(fallback);
    }
    if json {
        let value = json!({
            "policy": preview.policy,
            "prompt": preview.prompt,
            "command": command,
            "directory": job.directory,
            "environment": {"set": job.environment.set, "remove": job.environment.remove},
        });
        print_json(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!("{FAINT}# prompt, by policy {}, on standard input{FAINT:#}", preview.policy));
    print_text(&preview.prompt)?;
    print(&format!("\n{FAINT}# command line, in {}{FAINT:#}", job.directory.display()));
    print(&shlex::try_join(command)?);
    Ok(ExitCode::SUCCESS)
}
