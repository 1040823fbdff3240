//! Reading the tasks for `parallel`, as a person or a program has written them.
//!
//! Unlike over MCP a key that nobody knows is an error: whoever mistyped it is there to
//! correct it.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use serde_json::{Map, Value};

use crate::dispatch::{Parallel, Refusal, Request};

const CALL: &str = "the file may have dispatches, aggregate and aggregate_policy";
const ITEM: &str = "an item may have agent, task, context, caller, goal, timeout_seconds and fresh";
const SHAPE: &str = "What is wanted is a list of items, each with agent and task, or a mapping that has such a list as dispatches: 'agent-dispatch help parallel' shows one.";

/// The call in this file, or in standard input.
pub(super) fn read(file: Option<&Path>) -> Result<Parallel, Refusal> {
    let text = match file {
        Some(file) if file != Path::new("-") => {
            let text = fs::read_to_string(file);
            text.map_err(|error| unreadable(&file.display().to_string(), &error))?
        }
        // With - somebody wants to type it.
        None if io::stdin().is_terminal() => {
            let message = "there are no tasks: no FILE is given, and standard input is a terminal";
            return Err(Refusal::new(message).with_hint(SHAPE));
        }
        _ => {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.map_err(|error| unreadable("standard input", &error))?;
            text
        }
    };
    call(value(&text)?)
}

fn unreadable(what: &str, error: &io::Error) -> Refusal {
    Refusal::new(format!("the tasks cannot be read from {what}: {error}"))
}

/// What the text says. YAML takes nearly all JSON, but not the pairs of escapes in which
/// some programs write an emoji.
fn value(text: &str) -> Result<Value, Refusal> {
    let yaml = || {
        let mut value: serde_yaml::Value = serde_yaml::from_str(text)?;
        value.apply_merge()?;
        serde_yaml::from_value(value)
    };
    let wrong = |error: serde_yaml::Error| {
        Refusal::new(format!("the tasks are neither YAML nor JSON: {error}")).with_hint(SHAPE)
    };
    yaml().or_else(|error| serde_json::from_str(text).map_err(|_| wrong(error)))
}

fn call(value: Value) -> Result<Parallel, Refusal> {
    let mut call = Parallel::default();
    let items = match value {
        Value::Array(items) => items,
        Value::Object(fields) => {
            let mut fields = Fields { place: String::new(), left: fields };
            call.aggregator = fields.name("aggregate")?;
            call.policy = fields.name("aggregate_policy")?;
            let items = fields.take("dispatches");
            fields.end(CALL)?;
            match items {
                Some(Value::Array(items)) => items,
                Some(other) => {
                    let kind = kind(&other);
                    let message = format!("dispatches has to be a list of items, not {kind}");
                    return Err(Refusal::new(message).with_hint(SHAPE));
                }
                None => return Err(Refusal::new("dispatches is missing").with_hint(SHAPE)),
            }
        }
        Value::Null => return Err(Refusal::new("there are no tasks: it is empty").with_hint(SHAPE)),
        other => {
            let message = format!("the tasks have to be a list of items, not {}", kind(&other));
            return Err(Refusal::new(message).with_hint(SHAPE));
        }
    };
    let items = items.into_iter().enumerate();
    call.dispatches = items.map(|(number, value)| item(number, value)).collect::<Result<_, _>>()?;
    Ok(call)
}

fn item(number: usize, value: Value) -> Result<Request, Refusal> {
    let place = format!("dispatches[{number}]");
    let left = match value {
        Value::Object(left) => left,
        other => {
            let message = format!("{place} has to be a mapping, not {}", kind(&other));
            return Err(Refusal::new(message).with_hint(SHAPE));
        }
    };
    let mut fields = Fields { place: format!("{place}."), left };
    let request = Request {
        agent: fields.required("agent")?,
        task: fields.required("task")?,
        context: fields.text("context")?,
        caller: fields.text("caller")?,
        goal: fields.text("goal")?,
        timeout_seconds: fields.seconds("timeout_seconds")?,
        fresh: fields.flag("fresh")?,
        ..Request::default()
    };
    fields.end(ITEM)?;
    Ok(request)
}

/// The fields of a mapping that are not yet read. One that is null is absent.
struct Fields {
    /// What stands before a field's name in messages.
    place: String,
    left: Map<String, Value>,
}

impl Fields {
    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, problem: &str) -> Refusal {
        Refusal::new(format!("{}{name} {problem}", self.place))
    }

    fn text(&mut self, name: &str) -> Result<String, Refusal> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => {
                let problem = format!("has to be a text, not {}", kind(&other));
                Err(self.wrong(name, &problem).with_hint("Quotes make a text of anything."))
            }
        }
    }

    fn required(&mut self, name: &str) -> Result<String, Refusal> {
        match self.text(name)? {
            text if text.trim().is_empty() => Err(self.wrong(name, "is missing or blank")),
            text => Ok(text),
        }
    }

    fn name(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(named(&self.text(name)?))
    }

    fn seconds(&mut self, name: &str) -> Result<u64, Refusal> {
        match self.take(name) {
            None => Ok(0),
            Some(value) => {
                let problem = "has to be a whole number of seconds; 0 is what the config says";
                value.as_u64().ok_or_else(|| self.wrong(name, problem))
            }
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.wrong(name, "has to be true or false"))
            }
        }
    }

    /// Nothing may be left that nobody has read.
    fn end(self, known: &str) -> Result<(), Refusal> {
        match self.left.keys().find(|name| !self.left[*name].is_null()) {
            None => Ok(()),
            Some(name) => Err(self.wrong(name, &format!("is not known: {known}"))),
        }
    }
}

/// A name, unless it is blank.
pub(super) fn named(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
