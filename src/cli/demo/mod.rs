//! `demo`: the main job on sample projects, with no account and no network.
//!
//! Everything but the agent's mind is real: the config, the policies, the runner,
//! a child process in the project's directory, its event stream.

mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::signals::Signals;
use super::terminal::{BOLD, FAINT, GOOD, print, print_text, refuse, report, shown};
use super::{dialogue, parallel};
use crate::dispatch::{
    Dialogue, Dispatcher, Lineage, Listener, News, Parallel, Refusal, Reply, Request, summary,
};
use world::World;

/// How long an interrupted demo waits for what still writes into its folder.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut folder = None;
    let code = super::on_runtime(PATIENCE, async {
        // Before there is a folder that a signal could leave behind.
        let mut signals = Signals::new()?;
        let made = tempfile::Builder::new().prefix("agent-dispatch-demo-").tempdir()?;
        tokio::select! {
            code = show(folder.insert(made).path()) => code,
            code = signals.next() => Ok(code),
        }
    })?;
    folder.map_or(Ok(()), TempDir::close)?;
    print(&format!("{FAINT}The demo's folder is gone; nothing was left behind.{FAINT:#}"));
    Ok(code)
}

async fn show(folder: &Path) -> anyhow::Result<ExitCode> {
    let world = World::write(folder)?;
    let executable = super::executable()?;
    let dispatcher = Arc::new(Dispatcher::new(&world.paths, &executable, Lineage::default()));

    print(&format!("{BOLD}agent-dispatch demo{BOLD:#}: one project asks another.\n"));
    print(
        "Three agents share two sample projects. 'infra' and 'infra-xml' differ in one thing only,",
    );
    print("the policy that writes their prompts. A practice agent stands in for the real CLI.\n");
    print(&format!("{FAINT}# agents.yaml{FAINT:#}"));
    print_text(&world.config)?;

    let mut all_well = true;
    for agent in ["infra", "infra-xml"] {
        all_well &= show_dispatch(&dispatcher, agent).await?;
    }
    all_well &= show_watched(&dispatcher).await?;
    all_well &= show_parallel(&dispatcher).await?;
    all_well &= show_vote(&dispatcher).await?;
    all_well &= show_dialogue(&dispatcher).await?;
    dispatcher.end().await;
    print("");
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One agent, and the prompt that its policy writes.
async fn show_dispatch(dispatcher: &Arc<Dispatcher>, agent: &str) -> anyhow::Result<bool> {
    let request = Request {
        agent: agent.to_owned(),
        task: "Check the scheduler's logs for recent errors and say who owns the service.".into(),
        context: "Error: TypeError at scheduler.py:42".into(),
        caller: "backend".into(),
        goal: "debug a production crash".into(),
        ..Request::default()
    };
    title(&format!("dispatch to {agent}"));
    match dispatcher.preview(request.clone()).await {
        Ok(Ok(preview)) => {
            print(&format!("{FAINT}# the prompt that policy {} wrote{FAINT:#}", preview.policy));
            print_text(&preview.prompt)?;
        }
        Ok(Err(reply)) => return show_reply(Ok(reply), ""),
        Err(refusal) => return show_reply(Err(refusal), ""),
    }
    let started = Instant::now();
    let reply = dispatcher.dispatch(request, &Listener::nobody()).await;
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    show_reply(reply, &format!("after {milliseconds:.0} ms"))
}

/// One agent, and what it does meanwhile.
async fn show_watched(dispatcher: &Arc<Dispatcher>) -> anyhow::Result<bool> {
    title("dispatch to infra, watched");
    let request = Request {
        agent: "infra".into(),
        task: "Look for the owner and the restart policy of all services.".into(),
        ..Request::default()
    };
    let watch = Listener::new(|heard| {
        let line = match heard.news {
            News::Running => Some("works".to_owned()),
            News::Event(event) => summary(event),
            News::Waiting | News::Ended(_) => None,
        };
        if let Some(line) = line {
            print(&format!("{FAINT}infra{FAINT:#} {}", shown(&line)));
        }
    });
    Ok(match dispatcher.dispatch(request, &watch).await {
        Ok(reply) if reply.success => true,
        reply => show_reply(reply, "")?,
    })
}

/// Two agents at once, and what a third run makes of their answers.
async fn show_parallel(dispatcher: &Arc<Dispatcher>) -> anyhow::Result<bool> {
    title("parallel: infra and shop, and shop puts their answers together");
    let call = Parallel {
        dispatches: [
            ("infra", "Look for the error of the scheduler."),
            ("shop", "Who adds the job that mails an invoice?"),
        ]
        .map(item)
        .to_vec(),
        aggregator: Some("shop".into()),
        policy: Some("synthesize".into()),
    };
    match dispatcher.parallel(call, &Listener::nobody()).await {
        Ok(reply) => Ok(parallel::show(&reply, false)? == ExitCode::SUCCESS),
        Err(refusal) => show_reply(Err(refusal), ""),
    }
}

/// Three agents at once, of which most say the same.
async fn show_vote(dispatcher: &Arc<Dispatcher>) -> anyhow::Result<bool> {
    title("parallel: three agents vote");
    let question = "Who is the owner of the scheduler?";
    let agents = ["infra", "shop", "infra-xml"];
    let call = Parallel {
        dispatches: agents.map(|agent| item((agent, question))).to_vec(),
        aggregator: None,
        policy: Some("majority".into()),
    };
    let reply = match dispatcher.parallel(call, &Listener::nobody()).await {
        Ok(reply) => reply,
        Err(refusal) => return show_reply(Err(refusal), ""),
    };
    let Some(one) = reply.aggregated() else { return Ok(false) };
    print(&format!("{GOOD}# what most of {} say{GOOD:#}", agents.join(", ")));
    print_text(&one.result)?;
    Ok(one.success)
}

fn item((agent, task): (&str, &str)) -> Request {
    Request { agent: agent.into(), task: task.into(), ..Request::default() }
}

/// Two agents who talk until one of them sees the matter resolved.
async fn show_dialogue(dispatcher: &Arc<Dispatcher>) -> anyhow::Result<bool> {
    title("dialogue: shop asks infra");
    let call = Dialogue {
        requester: "shop".into(),
        responder: "infra".into(),
        topic: "Invoices are missing: why does the scheduler not run the job invoice-mail?".into(),
        ..Dialogue::default()
    };
    match dispatcher.dialogue(call, &Listener::nobody()).await {
        Ok(reply) => Ok(dialogue::show(&reply, false)? == ExitCode::SUCCESS),
        Err(refusal) => show_reply(Err(refusal), ""),
    }
}

fn title(text: &str) {
    print(&format!("\n{BOLD}── {text} ──{BOLD:#}"));
}

/// Shows an answer, or why there is none; says whether there is one.
fn show_reply(reply: Result<Reply, Refusal>, when: &str) -> anyhow::Result<bool> {
    match reply {
        Ok(reply) if reply.success => {
            print(&format!("\n{GOOD}# the agent's reply, {when}{GOOD:#}"));
            print_text(&reply.result)?;
            return Ok(true);
        }
        Ok(reply) => report(&reply.error.unwrap_or_default(), reply.hint.as_deref()),
        Err(refusal) => refuse(&refusal, false),
    }
    Ok(false)
}
