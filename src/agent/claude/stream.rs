//! The events that `claude` writes, one JSON value a line.
//!
//! Fields come and go between versions, and types with them: everything is
//! optional, what is unknown is passed over, and a field of the wrong type is an
//! absent field. A JSON array of events and a JSON object over several lines, as
//! the CLI writes them in its other output modes, are understood too.

use std::collections::HashMap;

use serde_json::Value;

use super::ending;
use super::tokens::Count;
use crate::agent::cli::{Ending, Reader};
use crate::agent::job::RunEvent;
use crate::agent::outcome::Outcome;

/// How much of what is no event is kept, in bytes.
const OTHER_OUTPUT_BOUND: usize = 16 * 1024 * 1024;

/// What an event tells of a text, in characters.
const TOLD: usize = 500;

/// How many tools that are in use are remembered by name.
const TOOLS_BOUND: usize = 256;

/// What a tool is used on, as people think of it, by the names of its parameters.
const MEANT: [&str; 7] = ["command", "file_path", "path", "pattern", "url", "query", "description"];

/// What the names of denied tools may take: they are the model's words.
const DENIED_BOUND: usize = 10;
const DENIED_NAME_BOUND: usize = 100;

/// What was read of one run.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The conversation's id as asked for.
    pub(super) asked_session: String,
    /// The conversation's id as told.
    pub(super) session: Option<String>,
    /// The agent's last text.
    pub(super) last_text: String,
    /// The kind of the last error that came in place of an answer.
    pub(super) api_error: Option<String>,
    /// Tools that were denied, each once.
    pub(super) denied: Vec<String>,
    /// The last result.
    pub(super) result: Option<RunResult>,
    /// The sum of what the results say they added, if any says so.
    pub(super) added_cost: Option<f64>,
    /// The tokens that were told of.
    pub(super) tokens: Count,
    /// What was no event.
    pub(super) other_output: String,
    any_event: bool,
    /// The tools in use, by the ids of their uses.
    tools: HashMap<String, String>,
}

/// A `result` event.
#[derive(Debug, Default)]
pub(super) struct RunResult {
    pub(super) subtype: String,
    pub(super) is_error: bool,
    pub(super) text: String,
    pub(super) errors: Vec<String>,
    pub(super) terminal_reason: String,
    pub(super) api_error_status: Option<u64>,
    pub(super) api_error_type: String,
    pub(super) turns: Option<u32>,
    pub(super) duration_ms: Option<u64>,
    pub(super) total_cost_usd: Option<f64>,
}

impl Stream {
    pub(super) fn new(session: &str) -> Self {
        Self { asked_session: session.to_owned(), ..Self::default() }
    }

    fn value(&mut self, value: Value, observe: &mut (dyn FnMut(RunEvent) + Send)) -> bool {
        match value {
            Value::Array(events) => {
                let mut any = false;
                for event in events {
                    any |= event.is_object() && self.value(event, observe);
                }
                any
            }
            Value::Object(_) => self.event(value, observe),
            _ => false,
        }
    }

    /// Takes one event; false when it is none.
    fn event(&mut self, mut event: Value, observe: &mut (dyn FnMut(RunEvent) + Send)) -> bool {
        let Some(kind) = event["type"].as_str() else { return false };
        self.any_event = true;
        match (kind, event["subtype"].as_str()) {
            ("system", Some("init")) => self.told_session(&event, observe),
            ("system", Some("api_retry")) => observe(RunEvent::ApiRetry {
                attempt: event["attempt"].as_u64(),
                status: event["error_status"].as_u64(),
            }),
            ("system", Some("permission_denied")) => {
                self.tool_denied(&event["tool_name"], Some(observe));
            }
            ("assistant", _) => self.assistant(&mut event, observe),
            ("user", _) => self.tool_results(&event, observe),
            ("result", _) => {
                self.told_session(&event, observe);
                self.finished(&mut event);
            }
            _ => {}
        }
        true
    }

    fn told_session(&mut self, event: &Value, observe: &mut (dyn FnMut(RunEvent) + Send)) {
        let Some(id) = event["session_id"].as_str().filter(|id| !id.trim().is_empty()) else {
            return;
        };
        if self.session.as_deref() != Some(id) {
            self.session = Some(id.to_owned());
            observe(RunEvent::Session { id: id.to_owned() });
        }
    }

    fn assistant(&mut self, event: &mut Value, observe: &mut (dyn FnMut(RunEvent) + Send)) {
        let of_subagent = event["parent_tool_use_id"].is_string();
        let message = &event["message"];
        // An error of the API comes as a message of this model; it is no answer.
        if message["model"] == "<synthetic>" {
            self.api_error = event["error"].as_str().map(str::to_owned);
            return;
        }
        self.api_error = None;
        self.tokens.message(message);
        let mut said = String::new();
        let content = event.pointer_mut("/message/content").and_then(Value::as_array_mut);
        for block in content.into_iter().flatten() {
            match block["type"].as_str() {
                Some("text") if said.is_empty() => said = taken(block, "text").unwrap_or_default(),
                Some("text") => said.push_str(block["text"].as_str().unwrap_or_default()),
                Some("tool_use") => self.tool_used(block, observe),
                _ => {}
            }
        }
        if !said.is_empty() && !of_subagent {
            observe(RunEvent::Text { text: beginning(&said) });
            self.last_text = said;
        }
    }

    fn tool_used(&mut self, block: &Value, observe: &mut (dyn FnMut(RunEvent) + Send)) {
        let Some(name) = block["name"].as_str().map(beginning) else { return };
        if let Some(id) = block["id"].as_str()
            && self.tools.len() < TOOLS_BOUND
        {
            self.tools.insert(id.to_owned(), name.clone());
        }
        let input = &block["input"];
        let meant = MEANT.iter().find_map(|parameter| input[parameter].as_str());
        let input = match (meant, input) {
            (Some(meant), _) => beginning(meant),
            (None, Value::Null) => String::new(),
            (None, input) => beginning(&input.to_string()),
        };
        observe(RunEvent::ToolUse { name, input });
    }

    fn tool_results(&mut self, event: &Value, observe: &mut (dyn FnMut(RunEvent) + Send)) {
        for block in event["message"]["content"].as_array().into_iter().flatten() {
            if block["type"] != "tool_result" {
                continue;
            }
            let name = block["tool_use_id"].as_str().and_then(|id| self.tools.remove(id));
            let text = match &block["content"] {
                Value::String(text) => beginning(text),
                Value::Array(parts) => {
                    let texts = parts.iter().filter_map(|part| part["text"].as_str());
                    beginning(&texts.map(beginning).collect::<Vec<_>>().join(" "))
                }
                _ => String::new(),
            };
            let success = block["is_error"].as_bool() != Some(true);
            observe(RunEvent::ToolResult { name, success, text });
        }
    }

    fn tool_denied(&mut self, name: &Value, observe: Option<&mut (dyn FnMut(RunEvent) + Send)>) {
        let name: String =
            name.as_str().unwrap_or("unknown").chars().take(DENIED_NAME_BOUND).collect();
        if let Some(observe) = observe {
            observe(RunEvent::Denied { name: name.clone() });
        }
        if self.denied.len() < DENIED_BOUND && !self.denied.contains(&name) {
            self.denied.push(name);
        }
    }

    fn finished(&mut self, event: &mut Value) {
        for denial in event["permission_denials"].as_array().into_iter().flatten() {
            self.tool_denied(if denial.is_string() { denial } else { &denial["tool_name"] }, None);
        }
        if let Some(models) = event["model_usage_since_last_result"].as_object() {
            let added: f64 = models.values().filter_map(|usage| amount(&usage["costUSD"])).sum();
            self.added_cost = Some(self.added_cost.unwrap_or(0.0) + added);
        }
        self.tokens.result(event);
        let answer = taken(event, "result");
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        self.result = Some(RunResult {
            subtype: text("subtype"),
            // What is not said to be fine is not fine.
            is_error: event["is_error"].as_bool().unwrap_or(true),
            text: answer.unwrap_or_else(|| match &event["result"] {
                Value::Null => String::new(),
                other => other.to_string(),
            }),
            errors: event["errors"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|error| error.as_str().map(str::to_owned))
                .collect(),
            terminal_reason: text("terminal_reason"),
            api_error_status: event["api_error_status"].as_u64(),
            api_error_type: text("api_error_type"),
            turns: event["num_turns"].as_u64().and_then(|turns| turns.try_into().ok()),
            duration_ms: event["duration_ms"].as_u64(),
            total_cost_usd: amount(&event["total_cost_usd"]),
        });
    }

    fn keep_other(&mut self, line: &str) {
        let room = OTHER_OUTPUT_BOUND.saturating_sub(self.other_output.len() + 1);
        self.other_output.push_str(&line[..line.floor_char_boundary(room)]);
        self.other_output.push('\n');
    }
}

/// A text of an event, taken out of it and not copied: answers can be long.
fn taken(event: &mut Value, name: &str) -> Option<String> {
    match event.get_mut(name) {
        Some(Value::String(text)) => Some(std::mem::take(text)),
        _ => None,
    }
}

/// As much of a text as an event tells.
fn beginning(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

/// What a line says. A result was paid for, and one character must not lose it: Node
/// writes half an emoji where it cut a text, and other programs write control characters
/// or put words or another event before this one.
fn values(line: &str) -> Vec<Value> {
    if let Ok(value) = serde_json::from_str(line) {
        return vec![value];
    }
    let Some(start) = line.find("{\"") else { return Vec::new() };
    let bytes = &line.as_bytes()[start..];
    let lenient = serde_json_lenient::Deserializer::from_slice_with_options;
    let values = lenient(bytes, true, true, true, true, true).into_iter();
    values.map_while(Result::ok).collect()
}

/// An amount of money that can be one.
fn amount(value: &Value) -> Option<f64> {
    value.as_f64().filter(|amount| amount.is_finite() && *amount >= 0.0)
}

impl Reader for Stream {
    fn line(&mut self, line: &str, observe: &mut (dyn FnMut(RunEvent) + Send)) {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            return;
        }
        let mut known = false;
        for value in values(line) {
            known |= self.value(value, observe);
        }
        if !known {
            self.keep_other(line);
        }
    }

    fn has_result(&self) -> bool {
        self.result.is_some()
    }

    fn outcome(mut self: Box<Self>, ending: &Ending) -> Outcome {
        if !self.any_event {
            let output = std::mem::take(&mut self.other_output);
            if let Ok(value) = serde_json::from_str::<Value>(&output) {
                self.value(value, &mut |_| {});
            }
            self.other_output = output;
        }
        ending::outcome(*self, ending)
    }
}
