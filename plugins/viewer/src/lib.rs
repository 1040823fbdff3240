//! A describe policy for tests: it looks at what its config says, and tells what it saw.
//!
//! `{"steps": ["look a", "read 10 a", "entries a", "name"]}`: what came of each step is
//! in `mcp-servers`, in their order; `"times": 9` takes all steps so often and tells of the
//! last time. `"text"` is the description, `"trap": true` traps at the end.

mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "describe-policy" });
    export!(Viewer with_types_in self);
    use super::Viewer;
}

use bindings::agent_dispatch::policy::project_view::{Entry, EntryKind, Project, ViewError};
use bindings::agent_dispatch::policy::types::PolicyError;
use bindings::exports::agent_dispatch::policy::describe::{Description, Guest};
use serde::Deserialize;

struct Viewer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    steps: Vec<String>,
    #[serde(default = "once")]
    times: u32,
    #[serde(default = "plain")]
    text: String,
    #[serde(default)]
    trap: bool,
}

fn once() -> u32 {
    1
}

fn plain() -> String {
    "what was seen".to_owned()
}

impl Guest for Viewer {
    fn check(config: String) -> Result<(), PolicyError> {
        read(&config).map(drop)
    }

    fn describe(config: String, project: &Project) -> Result<Description, PolicyError> {
        let config = read(&config)?;
        let mut seen = Vec::new();
        for _ in 0..config.times {
            seen = config.steps.iter().map(|step| take(step, project)).collect();
        }
        assert!(!config.trap, "as the config says");
        Ok(Description {
            text: config.text,
            mcp_servers: seen,
            stacks: Vec::new(),
            databases: Vec::new(),
        })
    }
}

fn read(config: &str) -> Result<Config, PolicyError> {
    serde_json::from_str(config).map_err(|error| PolicyError::InvalidConfig(error.to_string()))
}

fn take(step: &str, project: &Project) -> String {
    let (what, path) = step.split_once(' ').unwrap_or((step, ""));
    let seen = match what {
        "name" => Ok(project.name()),
        "look" => project.look(path).map(|entry| shown(&entry)),
        "entries" => project.entries(path).map(|entries| {
            let entries: Vec<String> = entries.iter().map(shown).collect();
            entries.join(", ")
        }),
        _ => {
            let (most, path) = path.split_once(' ').unwrap_or((path, ""));
            project.read(path, most.parse().unwrap_or(u32::MAX)).map(|excerpt| {
                let (text, size) = (excerpt.text, excerpt.size);
                let start: String = text.chars().take(20).collect();
                let (complete, utf8) = (excerpt.complete, excerpt.utf8);
                format!("{} of {size} complete={complete} utf8={utf8} {start}", text.len())
            })
        }
    };
    seen.unwrap_or_else(|error| match error {
        ViewError::NotFound => "not-found".to_owned(),
        ViewError::WrongKind => "wrong-kind".to_owned(),
        ViewError::Outside => "outside".to_owned(),
        ViewError::Unreadable(why) => format!("unreadable: {why}"),
        ViewError::Limit(why) => format!("limit: {why}"),
    })
}

fn shown(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Other => "other",
    };
    format!("{kind} {} {}", entry.name, entry.size)
}
