//! `stats`: what the dispatches add up to.

use std::process::ExitCode;
use std::sync::Arc;

use super::terminal::{BAD, BOLD, FAINT, finish, note, print, print_json};
use super::wording::{dollars, took};
use crate::dispatch::{Dispatcher, Figures, Usage};

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    days: u32,
    agent: Option<String>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let usage = dispatcher.usage((days > 0).then_some(days), agent).await;
    finish(usage, json, |usage| {
        if json {
            return print_json(&usage);
        }
        if usage.total.dispatches == 0 {
            note("no such dispatches are in the journal");
        } else {
            show(&usage);
        }
        Ok(())
    })
}

fn show(usage: &Usage) {
    let names = usage.agents.iter().map(|(name, _)| name.len());
    let width = names.chain(["total".len()]).max().unwrap_or_default();
    let head = ["asked", "cached", "ok", "failed", "cost", "median", "p90", "longest"];
    let head = row(head.map(str::to_owned));
    print(&format!("{FAINT}{:width$}{head}{FAINT:#}", ""));
    for (name, figures) in &usage.agents {
        line(name, width, figures);
    }
    if usage.agents.len() > 1 {
        line("total", width, &usage.total);
    }
}

fn row(cells: [String; 8]) -> String {
    cells.map(|cell| format!("{cell:>10}")).concat()
}

fn line(name: &str, width: usize, figures: &Figures) {
    let time = |milliseconds: Option<u64>| milliseconds.map_or_else(|| "-".to_owned(), took);
    let cells = [
        figures.dispatches.to_string(),
        (figures.cached_hits + figures.shared).to_string(),
        figures.ok.to_string(),
        figures.failed.to_string(),
        dollars(figures.cost_usd),
        time(figures.median_ms),
        time(figures.p90_ms),
        time(figures.max_ms),
    ];
    print(&format!("{BOLD}{name:width$}{BOLD:#}{}", row(cells)));
    let words = |counts: &std::collections::BTreeMap<String, u64>| {
        let words = counts.iter().map(|(word, count)| format!("{word} {count}"));
        words.collect::<Vec<_>>().join(", ")
    };
    let (outcomes, errors) = (words(&figures.outcomes), words(&figures.errors));
    if !outcomes.is_empty() {
        print(&format!("{FAINT}{:width$}  outcomes: {outcomes}{FAINT:#}", ""));
    }
    if !errors.is_empty() {
        print(&format!("{BAD}{:width$}  errors: {errors}{BAD:#}", ""));
    }
    if figures.running > 0 {
        print(&format!("{FAINT}{:width$}  running: {}{FAINT:#}", "", figures.running));
    }
}
