//! Answers that are to be JSON.

/// What the agent is asked for.
pub(crate) const ASKED: &str = "Answer with one JSON value and nothing else.";

/// The JSON value that a text consists of, freed of a fence around it.
pub(crate) fn value(text: &str) -> Option<String> {
    let text = text.trim();
    let fenced = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    let inside = fenced.and_then(|rest| rest.strip_suffix("```")).unwrap_or(text).trim();
    serde_json::from_str::<serde::de::IgnoredAny>(inside).ok().map(|_| inside.to_owned())
}
