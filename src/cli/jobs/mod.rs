//! `jobs`, `job`, `cancel` and `gc`: what was asked for and goes on by itself.

mod follow;

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::styling::Style;
use serde_json::json;

use super::command_line::JobsArgs;
use super::signals::Signals;
use super::terminal::{
    BAD, BOLD, FAINT, GOOD, NOTE, finish, note, print, print_json, print_text, refuse, report,
    shown,
};
use super::wording::{ago, dollars, took};
use crate::dispatch::{Dispatcher, Job, JobFilter, JobStatus, JobSummary, Refusal, now_ms};
use crate::one_line::one_line;

/// Longest line of what a job is about or does, in characters.
const LINE: usize = 100;

const SECONDS_A_DAY: f64 = 86400.0;

pub(super) async fn list(
    dispatcher: &Arc<Dispatcher>,
    arguments: JobsArgs,
) -> anyhow::Result<ExitCode> {
    let JobsArgs { status, agent, limit, json, follow } = arguments;
    let status = status.and_then(|word| JobStatus::parse(&word));
    let wanted = JobFilter { status, agent, limit };
    if follow {
        return follow::run(dispatcher, &wanted, json).await;
    }
    finish(dispatcher.jobs(wanted).await, json, |jobs| {
        if json {
            return print_json(&jobs);
        }
        if jobs.is_empty() {
            note("there are no such jobs");
        }
        for job in &jobs {
            print(&line(job));
        }
        Ok(())
    })
}

pub(super) async fn show(
    dispatcher: &Arc<Dispatcher>,
    id: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    finish(
        dispatcher.job(id).await,
        json,
        |job| {
            if json { print_json(&job) } else { show_job(&job) }
        },
    )
}

pub(super) async fn cancel(
    dispatcher: &Arc<Dispatcher>,
    id: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    finish(dispatcher.cancel_job(id).await, json, |cancelled| {
        if json {
            return print_json(&cancelled);
        }
        print(&format!("{}  {}", cancelled.job_id, cancelled.status));
        note(&cancelled.message);
        Ok(())
    })
}

/// Forgets those that were over so many days ago; all that are over without a number.
pub(super) async fn forget(
    dispatcher: &Arc<Dispatcher>,
    days: Option<f64>,
    dry_run: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let age = match days.map(age).transpose() {
        Ok(age) => age,
        Err(refusal) => {
            refuse(&refusal, json);
            return Ok(ExitCode::FAILURE);
        }
    };
    finish(dispatcher.gc_jobs(age, dry_run).await, json, |ids| {
        if json {
            return print_json(&json!({"dry_run": dry_run, "job_ids": ids}));
        }
        let jobs = if ids.len() == 1 { "1 job".to_owned() } else { format!("{} jobs", ids.len()) };
        if dry_run {
            for id in &ids {
                print(id);
            }
            note(&format!("{jobs} would be forgotten"));
        } else {
            print(&format!("{jobs} forgotten"));
        }
        Ok(())
    })
}

fn age(days: f64) -> Result<Duration, Refusal> {
    let seconds = Some(days * SECONDS_A_DAY).filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            Refusal::new("--days has to be more than 0, and a number that a job can be old")
        })
        .map_err(|refusal| {
            refusal.with_hint("'agent-dispatch gc --all' forgets all that are over.")
        })
}

/// Keeps a job; the job's lock is this process's standard input.
pub(super) async fn keep(dispatcher: &Arc<Dispatcher>, id: &str) -> anyhow::Result<ExitCode> {
    let lock = io::stdin().as_fd().try_clone_to_owned()?;
    let mut signals = Signals::new()?;
    let asked = async {
        signals.next().await;
    };
    let kept = dispatcher.keep_job(id, lock, asked).await;
    dispatcher.end().await;
    Ok(if kept.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A job in one line.
fn line(job: &JobSummary) -> String {
    let style = style(job.status);
    let word = match (&job.error_type, job.status) {
        (Some(error_type), JobStatus::Failed) => format!("failed ({error_type})"),
        (_, status) => status.as_str().to_owned(),
    };
    let now = seconds_now();
    let time = match (job.started_at, job.completed_at) {
        (Some(started), Some(completed)) => Some(completed - started),
        (Some(started), None) => Some(now - started),
        _ => None,
    };
    let time = time.map(|time| took(milliseconds(time).unsigned_abs()));
    let figures = [time, job.cost_usd.map(dollars)].into_iter().flatten();
    let figures = figures.map(|figure| format!("  {figure}")).collect::<Vec<_>>().concat();
    let what = job.last_progress.as_ref().unwrap_or(&job.task);
    let when = ago(milliseconds(now - job.created_at));
    format!(
        "{FAINT}{}{FAINT:#}  {BOLD}{}{BOLD:#}  {style}{word}{style:#}{figures}  {FAINT}{when}{FAINT:#}  {}",
        job.id,
        job.agent,
        one_line(what, LINE)
    )
}

fn style(status: JobStatus) -> Style {
    match status {
        JobStatus::Done => GOOD,
        JobStatus::Failed => BAD,
        JobStatus::Cancelled => NOTE,
        JobStatus::Pending | JobStatus::Running => FAINT,
    }
}

fn show_job(job: &Job) -> anyhow::Result<()> {
    let style = style(job.status);
    let when = ago(milliseconds(seconds_now() - job.created_at));
    print(&format!(
        "{FAINT}{}{FAINT:#}  {BOLD}{}{BOLD:#}  {style}{}{style:#}  {FAINT}{when}{FAINT:#}  {}",
        job.id,
        job.agent,
        job.status.as_str(),
        one_line(&job.task, LINE)
    ));
    if !job.status.is_final() {
        for line in &job.progress {
            print(&format!("  {}", shown(line)));
        }
        return Ok(());
    }
    if let Some(result) = job.result.as_ref().filter(|result| !result.result.is_empty()) {
        print_text(&result.result)?;
    }
    let reply = job.result.as_ref();
    let duration = reply.and_then(|reply| reply.duration_ms).map(took);
    let figures = [duration, reply.and_then(|reply| reply.cost_usd).map(dollars)];
    let figures: Vec<String> = figures.into_iter().flatten().collect();
    if !figures.is_empty() {
        note(&figures.join(", "));
    }
    if let Some(error) = &job.error {
        report(error, reply.and_then(|reply| reply.hint.as_deref()));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact for long")]
fn seconds_now() -> f64 {
    now_ms() as f64 / 1000.0
}

#[expect(clippy::cast_possible_truncation, reason = "no job is that old")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
