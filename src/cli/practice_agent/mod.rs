//! `practice-agent`: stands in for an agent CLI, with no model behind it.
//!
//! It keeps the contract of the real CLI as far as a dispatch meets it: prompt on
//! standard input, flags, stream-json on standard output, exit code. Its answer
//! is a plain search of the project's files for the words of its prompt, and it
//! says so. Its tools are the steps of that search.

mod search;

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use super::terminal::print;
use search::Search;

/// Lines that are quoted, at the most.
const QUOTED: usize = 2;

/// With this an agent ends a dialogue, where its prompt tells it so.
const MARKER: &str = "[RESOLVED]";

#[derive(Args)]
pub(super) struct PracticeArgs {
    /// Whatever the real CLI is given. Not taken apart by the parser of this program's own
    /// command line, to which most of it means nothing.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    given: Vec<String>,
}

pub(super) fn run(arguments: &PracticeArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    if arguments.given.iter().any(|word| word == "--version") {
        print(concat!(env!("CARGO_PKG_VERSION"), " (practice agent)"));
        return Ok(ExitCode::SUCCESS);
    }
    tracing::debug!(given = ?arguments.given, "practice agent");
    let mut prompt = String::new();
    std::io::stdin().read_to_string(&mut prompt)?;
    let directory = std::env::current_dir()?;
    let resumed = arguments.value("--resume");
    let session = resumed.or(arguments.value("--session-id"));
    let said = |role: &str, block: Value| {
        json!({"type": role, "message": {"role": role, "content": [block]},
               "parent_tool_use_id": null, "session_id": session})
    };
    let tell = |event: Value| writeln!(std::io::stdout().lock(), "{event}");
    let tool = |number: u32, name: &str, input: Value, result: &str| {
        let id = format!("toolu_practice_{number}");
        tell(said(
            "assistant",
            json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        ))?;
        tell(said(
            "user",
            json!({"type": "tool_result", "tool_use_id": id, "content": result, "is_error": false}),
        ))
    };

    tell(json!({"type": "system", "subtype": "init", "session_id": session,
                "cwd": directory.to_string_lossy()}))?;
    let search = Search::of(&directory, &prompt);
    tool(1, "Glob", json!({"pattern": "**/*"}), &search.files.join(" "))?;
    let found = format!("{} lines", search.found.len());
    tool(2, "Grep", json!({"pattern": search.words.join("|")}), &found)?;

    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    // Who has looked twice and found something has no more to say.
    let is_done = resumed.is_some() && !search.found.is_empty();
    let mut text = answer(&name, &search);
    if is_done && prompt.contains(MARKER) {
        text = format!("{text}\n{MARKER}");
    }
    tell(said("assistant", json!({"type": "text", "text": text})))?;
    let duration = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tell(json!({"type": "result", "subtype": "success", "is_error": false, "result": text,
                "session_id": session, "num_turns": 3, "total_cost_usd": 0.0,
                "duration_ms": duration, "permission_denials": []}))?;
    Ok(ExitCode::SUCCESS)
}

impl PracticeArgs {
    /// What a flag is given, as a dispatch and as a person writes it.
    fn value(&self, flag: &str) -> Option<&str> {
        let mut words = self.given.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word.strip_prefix(flag) {
                Some("") => return words.next(),
                Some(rest) if rest.starts_with('=') => return Some(&rest[1..]),
                _ => {}
            }
        }
        None
    }
}

fn answer(name: &str, search: &Search) -> String {
    let mut answer = format!(
        "I am the practice agent of {name}: no language model, only a search of its files for the words of my prompt."
    );
    if search.found.is_empty() {
        answer.push_str("\nNone of them is in any file here.");
    }
    for line in search.found.iter().take(QUOTED) {
        answer.push_str("\n- ");
        answer.push_str(line);
    }
    answer
}
