//! What is wrong with a config file that could be read all the same.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::lax::Invalid;
use super::node;

/// How much text is read again, in bytes, to find the lines of problems. A file
/// with very many problems names its first ones with a line and the rest without.
const SEARCHED_TEXT: usize = 4 * 1024 * 1024;

/// One mistake in the config file, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it means for the rest of the file.
    pub kind: ProblemKind,
    /// The config file.
    pub file: PathBuf,
    /// Where it is; counts from 1.
    pub line: Option<usize>,
    /// Where in the line it is, in characters; counts from 1.
    pub column: Option<usize>,
    /// The key it is about, for example `agents.infra.timeout`.
    pub key: String,
    /// What is wrong, and what follows from it.
    pub message: String,
}

/// What a problem means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// One agent cannot be dispatched to.
    DisablesAgent,
    /// One policy of the file cannot be used.
    DisablesPolicy,
    /// A setting has its default value.
    DefaultApplies,
    /// A bound on money, depth, concurrency, tools or the program is unknown, so nothing
    /// is dispatched.
    StopsDispatching,
    /// A key that an earlier agent-dispatch reads and this version does not.
    NotBuiltYet,
    /// A key that means nothing.
    UnknownKey,
    /// A key that stands more than once.
    Duplicate,
}

impl ProblemKind {
    /// What follows from a wrong value, to be said after what is wrong.
    fn consequence(self) -> &'static str {
        match self {
            Self::DisablesAgent => "; the agent is disabled until this is corrected",
            Self::DisablesPolicy => "; the policy is disabled until this is corrected",
            Self::StopsDispatching => "; nothing is dispatched until this is corrected",
            Self::DefaultApplies | Self::NotBuiltYet | Self::UnknownKey | Self::Duplicate => "",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(formatter, &self.file, self.line, self.column)?;
        write!(formatter, ": {}: {}", self.key, self.message)
    }
}

/// Writes `file:line:column`, as far as they are known.
pub(super) fn write_place(
    formatter: &mut impl fmt::Write,
    file: &Path,
    line: Option<usize>,
    column: Option<usize>,
) -> fmt::Result {
    write!(formatter, "{}", file.display())?;
    for number in line.into_iter().chain(column) {
        write!(formatter, ":{number}")?;
    }
    Ok(())
}

/// A wrong value and the key it belongs to.
#[derive(Debug)]
pub(super) struct Fault {
    /// The dotted path of the key.
    pub(super) key: String,
    pub(super) invalid: Invalid,
}

/// Collects the problems of one file.
pub(super) struct Report<'t> {
    file: &'t Path,
    text: &'t str,
    searchable: usize,
    named: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'t> Report<'t> {
    pub(super) fn new(file: &'t Path, text: &'t str) -> Self {
        Self { file, text, searchable: SEARCHED_TEXT, named: BTreeSet::new(), problems: Vec::new() }
    }

    /// Notes a problem at the value with the number `at`, and gives it back.
    pub(super) fn add(
        &mut self,
        kind: ProblemKind,
        key: impl Into<String>,
        at: u32,
        message: impl Into<String>,
    ) -> Problem {
        let position = if self.searchable > 0 {
            self.searchable = self.searchable.saturating_sub(self.text.len());
            node::locate(self.text, at)
        } else {
            None
        };
        let problem = Problem {
            kind,
            file: self.file.to_owned(),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            key: key.into(),
            message: message.into(),
        };
        self.problems.push(problem.clone());
        problem
    }

    /// Notes a wrong value and what follows from it.
    pub(super) fn fault(&mut self, kind: ProblemKind, fault: Fault) -> Problem {
        let message = fault.invalid.message + kind.consequence();
        self.add(kind, fault.key, fault.invalid.at, message)
    }

    /// Notes a key that is not built yet, once for all places it stands in.
    pub(super) fn not_built_yet(&mut self, key: &str, at: u32) {
        if self.named.insert(key.to_owned()) {
            let message = "kept, but without effect: this version does not read it yet";
            self.add(ProblemKind::NotBuiltYet, key, at, message);
        }
    }

    /// The problems in the order of the file; those without a line come last.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line.unwrap_or(usize::MAX), problem.column));
        self.problems
    }
}
