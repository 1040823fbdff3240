//! Writing to the terminal, with colour where there is one.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstream::{eprintln, println};
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;

use crate::dispatch::Refusal;
use crate::one_line::turns_text;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const NOTE: Style = AnsiColor::Yellow.on_default();

/// Says on standard error what went wrong, and what to do about it.
pub(super) fn report(message: &str, hint: Option<&str>) {
    eprintln!("{BAD}error:{BAD:#} {}", shown(message));
    if let Some(hint) = hint {
        eprintln!("\n{NOTE}hint:{NOTE:#} {}", shown(hint));
    }
}

/// Says on standard error what the reader should know beside the data.
pub(super) fn note(message: &str) {
    eprintln!("{NOTE}note:{NOTE:#} {}", shown(message));
}

/// A line for another program's eyes on standard error.
pub(super) fn plain_error(message: &str) {
    eprintln!("{message}");
}

/// A line of data, or of styled text, on standard output.
pub(super) fn print(line: &str) {
    println!("{line}");
}

/// A value as JSON on standard output.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&escaped(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// The same JSON with escapes for the control characters that JSON need not escape: a
/// terminal obeys them, and what takes colours out for a pipe would take some of them too.
fn escaped(json: &str) -> Cow<'_, str> {
    let is_control = |character: char| ('\u{7f}'..='\u{9f}').contains(&character);
    if !json.contains(is_control) {
        return Cow::Borrowed(json);
    }
    let parts = json.chars().map(|character| match character {
        control if is_control(control) => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    });
    Cow::Owned(parts.collect())
}

/// Shows what a command came to, or says why it could not do its work.
pub(super) fn finish<T>(
    outcome: Result<T, Refusal>,
    json: bool,
    show: impl FnOnce(T) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    match outcome {
        Ok(value) => show(value).map(|()| ExitCode::SUCCESS),
        Err(refusal) => {
            refuse(&refusal, json);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Says why a command could not do its work: as JSON on standard output where
/// that was asked for, else on standard error.
pub(super) fn refuse(refusal: &Refusal, json: bool) {
    if json {
        let refused = json!({"error": refusal.message, "hint": refusal.hint});
        print(&escaped(&refused.to_string()));
    } else {
        report(&refusal.message, refusal.hint.as_deref());
    }
}

/// An agent's text: as it is, but on a terminal without what could take it over. A
/// line's end is added where there is none.
pub(super) fn print_text(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let text = if output.is_terminal() { shown(text) } else { Cow::Borrowed(text) };
    output.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        output.write_all(b"\n")?;
    }
    output.flush()
}

/// A text without what a terminal obeys: control characters, ends of lines and tabs aside,
/// and those that turn the direction of what follows.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let harmful = |character: char| {
        (character.is_control() && !matches!(character, '\n' | '\t')) || turns_text(character)
    };
    if text.contains(harmful) {
        Cow::Owned(text.replace(harmful, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
