//! `practice-agent`: stands in for an agent CLI, with no model behind it.
//!
//! It keeps the contract of the real CLI as far as a dispatch meets it: prompt on
//! standard input, flags, stream-json on standard output, exit code. Its answer
//! is a plain search of the project's files for the words of its prompt, and it
//! says so.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::terminal::print;

/// Files that are read, and bytes of each, at the most.
const FILES: usize = 200;
const FILE_BYTES: u64 = 64 << 10;
/// Lines that are quoted, at the most.
const QUOTED: usize = 3;

#[derive(Args)]
pub(super) struct PracticeArgs {
    /// Whatever the real CLI is given. Not taken apart by the parser of this program's own
    /// command line, to which most of it means nothing.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    given: Vec<String>,
}

pub(super) fn run(PracticeArgs { given }: &PracticeArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    if given.iter().any(|word| word == "--version") {
        print(concat!(env!("CARGO_PKG_VERSION"), " (practice agent)"));
        return Ok(ExitCode::SUCCESS);
    }
    tracing::debug!(?given, "practice agent");
    let mut prompt = String::new();
    std::io::stdin().read_to_string(&mut prompt)?;
    let session = session(given);
    let directory = std::env::current_dir()?;
    let text = answer(&prompt, &directory);
    let duration = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let events = [
        json!({"type": "system", "subtype": "init", "session_id": session, "cwd": directory.to_string_lossy()}),
        json!({"type": "assistant", "session_id": session,
               "message": {"role": "assistant", "content": [{"type": "text", "text": text}]}}),
        json!({"type": "result", "subtype": "success", "is_error": false, "result": text,
               "session_id": session, "num_turns": 1, "total_cost_usd": 0.0,
               "duration_ms": duration, "permission_denials": []}),
    ];
    let mut output = std::io::stdout().lock();
    for event in events {
        writeln!(output, "{event}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The session that it is to begin or to go on with, as a dispatch and as a person gives it.
fn session(given: &[String]) -> Option<&str> {
    let mut words = given.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (flag, value) = word.split_once('=').map_or((word, None), |(f, v)| (f, Some(v)));
        if ["--session-id", "--resume"].contains(&flag) {
            return value.or_else(|| words.next());
        }
    }
    None
}

fn answer(prompt: &str, directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let words = words(prompt);
    let mut found: Vec<(usize, String)> = Vec::new();
    for path in files(directory) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let shown = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
        for (index, line) in text.lines().enumerate() {
            let matching = words.intersection(&self::words(line)).count();
            if matching > 0 {
                found.push((matching, format!("{shown}:{}: {}", index + 1, line.trim())));
            }
        }
    }
    found.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    let mut answer = format!(
        "I am the practice agent of {name}: no language model, only a search of this project's files for the words of my prompt.\n"
    );
    if found.is_empty() {
        answer.push_str("None of them is in any file here.");
    }
    for (_, line) in found.iter().take(QUOTED) {
        answer.push_str("\n- ");
        answer.push_str(line);
    }
    answer
}

/// The words of a text that are worth searching for.
fn words(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| word.chars().count() > 4)
        .map(str::to_lowercase)
        .collect()
}

/// The project's files in the order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let Ok(metadata) = entry.metadata() else { continue };
            if hidden || files.len() >= FILES {
                continue;
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() && metadata.len() <= FILE_BYTES {
                files.push(entry.path());
            }
        }
    }
    files
}
