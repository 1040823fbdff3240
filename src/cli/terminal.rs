//! Writing to the terminal: colour where there is one, and the log.

use std::io::{self, Write};

use anstream::{eprintln, println};
use clap::builder::styling::{AnsiColor, Style};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

const LOG_VARIABLE: &str = "AGENT_DISPATCH_LOG";

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const NOTE: Style = AnsiColor::Yellow.on_default();

/// Says on standard error what went wrong, and what to do about it.
pub(super) fn report(message: &str, hint: Option<&str>) {
    eprintln!("{BAD}error:{BAD:#} {message}");
    if let Some(hint) = hint {
        eprintln!("\n{NOTE}hint:{NOTE:#} {hint}");
    }
}

/// Says on standard error what the reader should know beside the data.
pub(super) fn note(message: &str) {
    eprintln!("{NOTE}note:{NOTE:#} {message}");
}

/// A line for another program's eyes on standard error.
pub(super) fn plain_error(message: &str) {
    eprintln!("{message}");
}

/// A line of data, or of styled text, on standard output.
pub(super) fn print(line: &str) {
    println!("{line}");
}

/// Data as it is, with a line's end added where there is none.
pub(super) fn print_text(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        output.write_all(b"\n")?;
    }
    output.flush()
}

/// Sends the log to standard error: what `AGENT_DISPATCH_LOG` says, else our own
/// lines of this level and up.
pub(super) fn log_to_stderr(level: tracing::Level) {
    let wanted = std::env::var(LOG_VARIABLE).ok();
    let filter = wanted.as_deref().and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| {
        Targets::new().with_default(tracing::Level::ERROR).with_target("agent_dispatch", level)
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
