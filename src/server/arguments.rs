//! Reading a tool call's arguments.
//!
//! Unknown arguments are ignored, as clients of other versions may send them.

use serde_json::{Map, Value};

/// A tool call's arguments by name.
pub(super) struct Arguments(pub(super) Map<String, Value>);

impl Arguments {
    /// A text that has to be there and not be blank.
    pub(super) fn required(&self, name: &str) -> Result<String, String> {
        match self.text(name)? {
            text if text.trim().is_empty() => {
                Err(format!("'{name}' is missing: it has to be a text that is not blank"))
            }
            text => Ok(text),
        }
    }

    /// A text; empty where it is absent.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        match self.0.get(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(format!("'{name}' has to be a text, not {}", kind(other))),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
