//! How a tool's answer goes over the wire.
//!
//! One text block with the JSON. Up to [`STRUCTURED_BYTES`] the same JSON is also
//! `structuredContent`, since some clients show only that; beyond, sending it
//! twice costs more than it is worth.

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::{Value, json};

use crate::dispatch::Refusal;

/// Largest JSON that is sent as text and as structured content, in bytes.
const STRUCTURED_BYTES: usize = 8 << 10;

/// The answer of a tool that did its work, whatever came of it.
pub(super) fn answer(value: &impl Serialize) -> CallToolResult {
    match serde_json::to_string(value) {
        Ok(text) => result(text),
        Err(error) => refused(&format!("the answer cannot be written as JSON: {error}"), None),
    }
}

/// The answer of a tool that could not do its work: `{"error": …}`.
pub(super) fn refusal(refusal: &Refusal) -> CallToolResult {
    refused(&refusal.message, refusal.hint.as_deref())
}

/// The answer to arguments that cannot be used.
pub(super) fn bad_arguments(message: &str) -> CallToolResult {
    let mut result = refused(message, None);
    result.is_error = Some(true);
    result
}

fn refused(message: &str, hint: Option<&str>) -> CallToolResult {
    let value = match hint {
        Some(hint) => json!({"error": message, "hint": hint}),
        None => json!({"error": message}),
    };
    result(value.to_string())
}

fn result(text: String) -> CallToolResult {
    // Read again only where it is sent twice: most of a long answer's time goes into trees.
    let small = (text.len() <= STRUCTURED_BYTES).then(|| serde_json::from_str(&text).ok());
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = small.flatten().map(|value| match value {
        // Structured content has to be an object for clients of earlier protocol versions.
        Value::Array(_) => json!({"result": value}),
        value => value,
    });
    result
}
