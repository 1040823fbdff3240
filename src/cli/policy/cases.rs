//! The test cases of a policy, as they stand in a file.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::yaml;
use crate::dispatch::Refusal;
use crate::policy::KINDS;

/// The file's name beside a component.
pub(super) const FILE: &str = "cases.yaml";

/// One case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) config: Option<Value>,
    #[serde(default)]
    pub(super) input: Value,
    pub(super) expect: Option<Value>,
}

/// A file with cases.
pub(super) struct Cases {
    pub(super) file: PathBuf,
    pub(super) text: String,
    pub(super) all: Vec<Case>,
}

impl Cases {
    pub(super) fn read(file: PathBuf) -> Result<Self, Refusal> {
        let shown = file.display();
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Refusal::new(format!("the cases cannot be read from {shown}: {error}")).with_hint(
                "'agent-dispatch help policy test' shows one; --cases names another file.",
            )
        })?;
        let all = parse(&text, &file)?;
        if all.is_empty() {
            return Err(Refusal::new(format!("there are no cases in {shown}"))
                .with_hint("'agent-dispatch help policy test' shows one."));
        }
        Ok(Self { file, text, all })
    }

    /// What the paths in the inputs are relative to.
    pub(super) fn folder(&self) -> PathBuf {
        let folder = self.file.parent().map(Path::to_owned).unwrap_or_default();
        std::path::absolute(&folder).or_else(|_| std::env::current_dir()).unwrap_or(folder)
    }
}

/// The cases in a text.
pub(super) fn parse(text: &str, file: &Path) -> Result<Vec<Case>, Refusal> {
    let what = file.display().to_string();
    let wrong = |problem: String| {
        Refusal::new(format!("{what}: {problem}"))
            .with_hint("'agent-dispatch help policy test' shows a case.")
    };
    let list = match yaml(text, &what)? {
        Value::Array(list) => list,
        Value::Null => Vec::new(),
        _ => return Err(wrong("the cases have to be a list".to_owned())),
    };
    let mut cases: Vec<Case> = Vec::new();
    for (number, value) in list.into_iter().enumerate() {
        let case: Case = serde_json::from_value(value)
            .map_err(|error| wrong(format!("case {}: {error}", number + 1)))?;
        if let Some(kind) = case.kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
            let kinds = KINDS.join(", ");
            return Err(wrong(format!("case '{}': the kind {kind} is none of {kinds}", case.name)));
        }
        if cases.iter().any(|known| known.name == case.name) {
            return Err(wrong(format!("two cases have the name '{}'", case.name)));
        }
        cases.push(case);
    }
    Ok(cases)
}
