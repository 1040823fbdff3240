//! `policy check`: what a component is, and what keeps it from being used.

use std::process::ExitCode;
use std::sync::Arc;

use super::super::terminal::{BAD, BOLD, FAINT, GOOD, note, print, print_json, refuse, shown};
use super::CheckArgs;
use crate::dispatch::{Dispatcher, Inspection};

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: CheckArgs,
) -> anyhow::Result<ExitCode> {
    let CheckArgs { policy, kind, config, json } = arguments;
    let inspected = async {
        let subject = dispatcher.subject(&policy).await?.with_config(config.as_ref());
        dispatcher.inspect(&subject, kind.as_deref()).await
    };
    let inspection = match inspected.await {
        Ok(inspection) => inspection,
        Err(refusal) => {
            refuse(&refusal, json);
            return Ok(ExitCode::FAILURE);
        }
    };
    if json {
        print_json(&inspection)?;
    } else {
        show(&inspection);
    }
    Ok(if inspection.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was found, in lines.
pub(super) fn show(found: &Inspection) {
    let size = found.bytes.map_or(String::new(), |bytes| format!("  {}", size(bytes)));
    print(&format!("{BOLD}{}{BOLD:#}{size}", shown(&found.file)));
    let line = |what: &str, value: &str| {
        if !value.is_empty() {
            print(&format!("  {FAINT}{what:9}{FAINT:#}  {}", shown(value)));
        }
    };
    let kinds = found.kinds.iter().map(|found| format!("{} {}", found.kind, found.version));
    line("kinds", &kinds.collect::<Vec<_>>().join(", "));
    let calls_itself =
        [&found.name, &found.version].map(|text| text.as_deref().unwrap_or_default());
    line("name", calls_itself.join(" ").trim());
    line("made with", &found.producers.join(", "));
    // A standard library asks for much of WASI, and says nothing about the policy by that.
    let allowed = found.imports.iter().filter(|import| import.allowed);
    let (wasi, others): (Vec<&str>, Vec<&str>) =
        allowed.map(|import| &*import.name).partition(|name| name.starts_with("wasi:"));
    let mut imports = others.join(", ");
    if !wasi.is_empty() {
        let and = if imports.is_empty() { "" } else { ", and " };
        imports = format!("{imports}{and}{} of WASI, which a policy finds empty", wasi.len());
    }
    line("imports", &imports);
    line("digest", found.digest.as_deref().unwrap_or_default());
    for said in &found.notes {
        note(said);
    }
    for problem in &found.problems {
        print(&format!("  {BAD}problem{BAD:#}    {}", shown(&problem.problem)));
        print(&format!("             {FAINT}{}{FAINT:#}", shown(&problem.way_out)));
    }
    if found.problems.is_empty() {
        print(&format!("  {GOOD}ok{GOOD:#}         agent-dispatch can use it"));
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
