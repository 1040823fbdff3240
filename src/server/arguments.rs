//! Reading a tool call's arguments.
//!
//! Unknown arguments are ignored, as clients of other versions may send them. Null is as
//! good as absent.

use serde_json::{Map, Value};

/// A tool call's arguments by name.
pub(super) struct Arguments {
    values: Map<String, Value>,
    /// What stands before a name in messages.
    prefix: String,
}

impl Arguments {
    /// The arguments of a call.
    pub(super) fn new(values: Map<String, Value>) -> Self {
        Self { values, prefix: String::new() }
    }

    /// What is given within this argument.
    pub(super) fn part(part: &str, values: Map<String, Value>) -> Self {
        Self { values, prefix: format!("{part}.") }
    }

    /// The value as it is, if there is one.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// A name; none where it is absent or blank.
    pub(super) fn name(&self, name: &str) -> Result<Option<String>, String> {
        let text = self.text(name)?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    fn problem(&self, name: &str, problem: &str) -> String {
        format!("'{}{name}' {problem}", self.prefix)
    }

    /// A text that has to be there and not be blank.
    pub(super) fn required(&self, name: &str) -> Result<String, String> {
        match self.text(name)? {
            text if text.trim().is_empty() => {
                Err(self.problem(name, "is missing: it has to be a text that is not blank"))
            }
            text => Ok(text),
        }
    }

    /// A text; empty where it is absent.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        match self.given(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => {
                Err(self.problem(name, &format!("has to be a text, not {}", kind(other))))
            }
        }
    }

    /// A whole number that counts from 0, also where it is written as text, as the
    /// Python tool takes it; 0 where it is absent or below.
    pub(super) fn count(&self, name: &str) -> Result<u64, String> {
        let number = match self.given(name) {
            None => return Ok(0),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match number.filter(|number| number.fract() == 0.0) {
            // The conversion goes to the nearest number there is.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Some(number) => Ok(number as u64),
            None => Err(self.problem(name, "has to be a whole number")),
        }
    }

    /// A number, also where it is written as text, as the Python tool takes it.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let number = match self.given(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| self.problem(name, "has to be a number"))
    }

    /// True or false, also where it is written as text; false where it is absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        let flag = match self.given(name) {
            None => return Ok(false),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(Value::String(text)) => text.trim().to_ascii_lowercase().parse().ok(),
            Some(_) => None,
        };
        flag.ok_or_else(|| self.problem(name, "has to be true or false"))
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
