//! What the built-in prompt policies share: a config that must be empty, and how
//! an answer in JSON is asked for and found.

use serde::de::IgnoredAny;

/// What an agent is told where the caller wants JSON.
pub const JSON_ANSWER: &str = "Your whole reply must be one JSON value: no prose around it, no code fence. \
     If the task cannot be done, reply with an object whose key \"error\" says why.";

/// Accepts the config of a policy that has none: `{}`, or nothing at all.
///
/// The error says what is wrong and what would be right; `policy` is the name to
/// put into it.
pub fn no_config(policy: &str, config: &str) -> Result<(), String> {
    let inside = config.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if matches!(config.trim(), "" | "null") || inside.is_some_and(|inside| inside.trim().is_empty())
    {
        return Ok(());
    }
    Err(format!(
        "the policy `{policy}` has no settings, so its `config` must be empty: remove it or write `config: {{}}`"
    ))
}

/// The JSON value that `text` is, without the code fence that agents like to put
/// around it; none where it is no JSON.
pub fn json_answer(text: &str) -> Option<&str> {
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

/// Standing instructions of an agent's owner, as an addition to its system prompt.
pub fn standing_instructions(agent: &str, instructions: Option<&String>) -> Option<String> {
    let instructions = instructions.map(|text| text.trim()).filter(|text| !text.is_empty())?;
    Some(format!("## Standing instructions for \"{agent}\"\n{instructions}"))
}
