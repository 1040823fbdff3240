//! What the built-in prompt policies share: the bindings to the interface, a
//! config that must be empty, and how an answer in JSON is asked for and found.

/// The interface, as wit-bindgen makes it; `export!` in it exports a policy.
pub mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "prompt-policy", pub_export_macro: true });
}

use bindings::agent_dispatch::policy::types::{Agent, PolicyError, Reply, Request};
use bindings::exports::agent_dispatch::policy::prompt::{Edit, Interpretation};
use serde::de::IgnoredAny;

/// What an agent is told where the caller wants JSON.
pub const JSON_ANSWER: &str = "Your whole reply must be one JSON value: no prose around it, no code fence. \
     If the task cannot be done, reply with an object whose key \"error\" says why.";

/// Accepts the config of a policy that has none, as [`config::none`].
pub fn no_config(policy: &str, config: &str) -> Result<(), PolicyError> {
    config::none(policy, config).map_err(PolicyError::InvalidConfig)
}

/// Leaves the reply as it is, and finds the JSON in it where that was wanted.
pub fn interpret(request: &Request, reply: &Reply) -> Interpretation {
    // A cut text is not the answer, even where it happens to be JSON.
    let wants_json = request.answer_format == "json" && reply.complete;
    let parsed = wants_json.then(|| json_answer(&reply.text)).flatten().map(str::to_owned);
    Interpretation { edit: Edit::Keep, outcome: None, hint: None, parsed }
}

/// The JSON value that `text` is, without the code fence that agents like to put
/// around it; none where it is no JSON.
fn json_answer(text: &str) -> Option<&str> {
    let answer = unfenced(text.trim()).trim();
    serde_json::from_str::<IgnoredAny>(answer).ok().map(|_| answer)
}

/// `text` without its first line and its last, where they are a fence.
fn unfenced(text: &str) -> &str {
    if !text.starts_with("```") {
        return text;
    }
    let Some((_, body)) = text.split_once('\n') else {
        return "";
    };
    match body.rsplit_once('\n') {
        Some((kept, last)) if last.trim_start().starts_with("```") => kept,
        None if body.starts_with("```") => "",
        _ => body,
    }
}

/// A text's content: none where it is absent or empty, which mean the same.
pub fn present(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// What an agent's owner wants it to follow, as an addition to its system prompt.
pub fn standing_instructions(agent: &Agent) -> Option<String> {
    let instructions = agent.instructions.as_ref().map(|text| text.trim());
    let instructions = instructions.filter(|text| !text.is_empty())?;
    Some(format!("## Standing instructions for \"{}\"\n{instructions}", agent.name))
}
