//! A prompt policy: how a request reads, and what its reply means.
//!
//! The functions and what they take are those of wit/prompt.wit and wit/types.wit.

wit_bindgen::generate!({ path: "wit", world: "prompt-policy" });

use agent_dispatch::policy::types::{PolicyError, Reply, Request};
use exports::agent_dispatch::policy::prompt::{Edit, Guest, Interpretation, Rendered};
use serde::Deserialize;

/// What the agent is told at the end where the config says nothing else.
const CLOSING: &str = "Answer in one paragraph. Where you cannot go on, end with a line that begins with BLOCKED: and says why.";

/// What may stand under `config:` of the policy's entry in agents.yaml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    closing: Option<String>,
}

struct Policy;
export!(Policy);

impl Guest for Policy {
    fn check(config: String) -> Result<(), PolicyError> {
        read(&config).map(|_| ())
    }

    /// The request in the house's words.
    fn render(config: String, request: Request) -> Result<Rendered, PolicyError> {
        let mut parts = vec![format!("# Task\n{}", request.task)];
        if let Some(context) = request.context {
            parts.push(format!("# Context\n{context}"));
        }
        if let Some(goal) = request.goal {
            parts.push(format!("# What it is for\n{goal}"));
        }
        parts.push(read(&config)?.closing.unwrap_or_else(|| CLOSING.to_owned()));
        Ok(Rendered { user: parts.join("\n\n"), system: None })
    }

    /// Says `blocked` where the last line of the reply does; the text stays as it is.
    fn interpret(_config: String, _request: Request, reply: Reply) -> Result<Interpretation, PolicyError> {
        let last = reply.text.trim().lines().last().unwrap_or_default();
        let why = last.strip_prefix("BLOCKED:").map(|why| why.trim().to_owned());
        let outcome = why.is_some().then(|| "blocked".to_owned());
        Ok(Interpretation { edit: Edit::Keep, outcome, hint: why, parsed: None })
    }
}

/// The config, or an error for the person who wrote it.
fn read(config: &str) -> Result<Config, PolicyError> {
    serde_json::from_str(config).map_err(|error| PolicyError::InvalidConfig(error.to_string()))
}
