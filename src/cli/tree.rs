//! `tree`: who asked whom, how long it took, what it cost, how it ended.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use super::terminal::{BAD, BOLD, FAINT, GOOD, NOTE, finish, note, print, print_json, shown};
use super::wording::{ago, dollars, took};
use crate::dispatch::{Dispatcher, Family, Record, State, now_ms};

/// How many digits of an id are shown: enough to name it.
const DIGITS: usize = 8;

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    id: Option<String>,
    limit: u32,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let families = match id {
        Some(id) => dispatcher.family(&id).await,
        None => dispatcher.latest_families(limit).await,
    };
    finish(families, json, |families| {
        if json {
            return print_json(&families.iter().map(value).collect::<Vec<_>>());
        }
        if families.is_empty() {
            note("nothing is in the journal yet");
        }
        for family in &families {
            show(family, "", "");
        }
        Ok(())
    })
}

/// Prints a dispatch after `lead`, and those below it after `below` and a branch each.
fn show(family: &Family, lead: &str, below: &str) {
    print(&format!("{FAINT}{lead}{FAINT:#}{}", line(family)));
    let last = family.children.len().saturating_sub(1);
    for (place, child) in family.children.iter().enumerate() {
        let (branch, rest) = if place == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        show(child, &format!("{below}{branch}"), &format!("{below}{rest}"));
    }
}

fn line(family: &Family) -> String {
    let Record { id, agent, caller, form, started_ms, end, .. } = &family.record;
    let word = state(family);
    let style = match word {
        "running" => FAINT,
        "done" | "cached" | "shared" => GOOD,
        "partial" | "blocked" => NOTE,
        _ if end.as_ref().is_some_and(|end| end.success) => GOOD,
        _ => BAD,
    };
    let end = end.as_ref();
    let time = end.and_then(|end| end.duration_ms).map(took);
    let cost = end.and_then(|end| end.cost_usd).map(dollars);
    let figures =
        [time, cost].map(|figure| figure.map_or_else(String::new, |figure| format!("  {figure}")));
    let figures = figures.concat();
    let caller = caller.as_ref().map(|caller| format!(", for {caller}")).unwrap_or_default();
    let id = id.get(..DIGITS).unwrap_or(id);
    let when = ago(now_ms().saturating_sub(*started_ms));
    let line = format!(
        "{BOLD}{agent}{BOLD:#}  {style}{word}{style:#}{figures}  {FAINT}{id}  {when}, {form}{}{FAINT:#}",
        shown(&caller)
    );
    line.replace('\n', " ")
}

/// How it ended, or that it has not, in a word.
fn state(family: &Family) -> &str {
    let record = &family.record;
    match (&record.end, family.state) {
        (_, State::Lost) => "lost",
        (None, _) => "running",
        (Some(end), _) if !end.success => end.error_type.as_deref().unwrap_or("failed"),
        (Some(_), _) if record.cached => "cached",
        (Some(_), _) if record.shared => "shared",
        (Some(end), _) => end.outcome.as_deref().unwrap_or("done"),
    }
}

fn value(family: &Family) -> Value {
    let record = &family.record;
    let mut value = json!({
        "id": record.id,
        "trace": record.trace,
        "parent": record.parent,
        "agent": record.agent,
        "caller": record.caller,
        "form": record.form,
        "depth": record.depth,
        "state": state(family),
        "started_ms": record.started_ms,
        "policy": record.policy,
        "policy_digest": record.policy_digest,
        "cached": record.cached,
        "shared": record.shared,
    });
    let ended = record.end.as_ref().map(|end| {
        json!({
            "ended_ms": end.at_ms,
            "success": end.success,
            "duration_ms": end.duration_ms,
            "cost_usd": end.cost_usd,
            "num_turns": end.turns,
            "tokens": end.tokens,
            "outcome": end.outcome,
            "error_type": end.error_type,
            "session_id": end.session_id,
        })
    });
    if let Value::Object(all) = &mut value {
        if let Some(Value::Object(ended)) = ended {
            all.extend(ended);
        }
        // As elsewhere, what is unknown is absent.
        all.retain(|_, value| !value.is_null());
    }
    value["children"] = family.children.iter().map(self::value).collect();
    value
}
