//! A describe policy: how a project describes itself.
//!
//! The functions and what they take are those of wit/describe.wit and wit/types.wit.

wit_bindgen::generate!({ path: "wit", world: "describe-policy" });

use agent_dispatch::policy::project_view::Project;
use agent_dispatch::policy::types::PolicyError;
use exports::agent_dispatch::policy::describe::{Description, Guest};
use serde::Deserialize;

/// How much of a README is read, in bytes.
const MOST: u32 = 65536;

/// A file in a project, and what it says that the project is written in.
const STACKS: [(&str, &str); 3] =
    [("Cargo.toml", "Rust"), ("package.json", "JavaScript"), ("pyproject.toml", "Python")];

/// What may stand under `config:` of the policy's entry in agents.yaml: nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Policy;
export!(Policy);

impl Guest for Policy {
    fn check(config: String) -> Result<(), PolicyError> {
        let read = serde_json::from_str::<Config>(&config);
        read.map(|_| ()).map_err(|error| PolicyError::InvalidConfig(error.to_string()))
    }

    /// The first paragraph of README.md.
    fn describe(_config: String, project: &Project) -> Result<Description, PolicyError> {
        let readme = project.read("README.md", MOST).map_err(|_| {
            PolicyError::Failed("the project has no README.md that can be read".to_owned())
        })?;
        let text = first_paragraph(&readme.text);
        if text.is_empty() {
            return Err(PolicyError::Failed("README.md has no paragraph".to_owned()));
        }
        let found = STACKS.iter().filter(|(file, _)| project.look(file).is_ok());
        let stacks = found.map(|(_, stack)| (*stack).to_owned()).collect();
        Ok(Description { text, mcp_servers: Vec::new(), stacks, databases: Vec::new() })
    }
}

/// The first lines that belong together and are no heading, as one line.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let mut paragraph = Vec::new();
    for line in lines {
        let is_over = line.is_empty() && !paragraph.is_empty();
        if is_over {
            break;
        }
        if !line.is_empty() && !line.starts_with('#') {
            paragraph.push(line);
        }
    }
    paragraph.join(" ")
}
