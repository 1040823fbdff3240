//! Where progress is written: a terminal whose lines can change, or anything else.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

use anstream::ColorChoice;
use anstream::adapter::strip_str;
use console::{Term, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long lines that change in place stay as they are.
const TICK: Duration = Duration::from_millis(100);

/// How long one waits who has nothing to do until he is called.
const LONG: Duration = Duration::from_hours(1);

/// The lines that change in place, for others who write to the same terminal.
static LIVE: OnceLock<ProgressBar> = OnceLock::new();

/// Standard error.
pub(super) enum Screen {
    /// A terminal, and what stands in the lines that change.
    Live { bar: ProgressBar, terminal: Term, rows: Vec<String> },
    /// Something that takes one line after the other.
    Plain,
}

impl Screen {
    pub(super) fn new() -> Self {
        let target = ProgressDrawTarget::stderr();
        if target.is_hidden() {
            return Self::Plain;
        }
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let bar = LIVE.get_or_init(|| bar).clone();
        Self::Live { bar, terminal: Term::stderr(), rows: Vec::new() }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// How long one may wait for news before the lines are to be written again.
    pub(super) fn patience(&self) -> Duration {
        if self.is_live() { TICK } else { LONG }
    }

    /// How many lines may change in place. The other half of a terminal is the user's.
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Live { terminal, .. } => usize::from(terminal.size().0 / 2).max(2),
            Self::Plain => 0,
        }
    }

    /// Writes lines for good, and those that change below them.
    pub(super) fn show(&mut self, lines: &[String], rows: &[String]) {
        match self {
            Self::Plain => {
                let mut stderr = anstream::stderr();
                for line in lines {
                    // Who does not want to know is not told.
                    let _ = writeln!(stderr, "{line}");
                }
            }
            Self::Live { bar, terminal, rows: shown } => {
                let width = usize::from(terminal.size().1);
                let cut = |row: &String| truncate_str(&colored(row), width, "…").into_owned();
                let rows: Vec<_> = rows.iter().map(cut).collect();
                if *shown != rows {
                    bar.set_message(rows.join("\n"));
                    *shown = rows;
                }
                if !lines.is_empty() {
                    let lines: Vec<_> = lines.iter().map(|line| colored(line)).collect();
                    bar.println(lines.join("\n"));
                }
            }
        }
    }

    /// Takes away what changes.
    pub(super) fn clear(&self) {
        if let Self::Live { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

/// Writes something else to standard error, between the lines that change.
pub(in crate::cli) fn beside<T>(write: impl FnOnce() -> T) -> T {
    match LIVE.get() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// A line as this terminal is to have it: without colours where the user wants none.
fn colored(line: &str) -> String {
    match anstream::AutoStream::choice(&io::stderr()) {
        ColorChoice::Never => strip_str(line).to_string(),
        _ => line.to_owned(),
    }
}
