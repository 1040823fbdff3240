//! What one who waits hears meanwhile.

use std::sync::Arc;

use super::reply::Reply;
use crate::agent::RunEvent;
use crate::one_line::one_line;

/// Longest line about an event, in characters.
const LINE: usize = 300;

/// What happened to one dispatch of a call.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Which one: 0 for the first of the call, and so on.
    pub number: usize,
    /// Its agent.
    pub agent: &'a str,
    /// What happened.
    pub news: News<'a>,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// It waits for a free place, or for its conversation.
    Waiting,
    /// Its agent works.
    Running,
    /// Its agent did something.
    Event(&'a RunEvent),
    /// It is over. Told once, and last.
    Ended(&'a Reply),
}

/// Tells one who waits. It is called where the work is done, so it must not wait.
#[derive(Clone)]
pub struct Listener {
    hear: Arc<dyn Fn(Heard<'_>) + Send + Sync>,
    number: usize,
}

impl Listener {
    /// A listener that calls this.
    pub fn new(hear: impl Fn(Heard<'_>) + Send + Sync + 'static) -> Self {
        Self { hear: Arc::new(hear), number: 0 }
    }

    /// Nobody listens.
    pub fn nobody() -> Self {
        Self::new(|_| {})
    }

    /// The same for the dispatch with this number.
    #[must_use]
    pub(super) fn of(&self, number: usize) -> Self {
        Self { hear: Arc::clone(&self.hear), number }
    }

    pub(super) fn tell(&self, agent: &str, news: News<'_>) {
        (self.hear)(Heard { number: self.number, agent, news });
    }
}

/// An event in one line; none for what only the program itself wants to know.
pub fn summary(event: &RunEvent) -> Option<String> {
    let line = match event {
        RunEvent::Text { text } => format!("says: {text}"),
        RunEvent::ToolUse { name, input } if input.is_empty() => format!("uses {name}"),
        RunEvent::ToolUse { name, input } => format!("uses {name}: {input}"),
        RunEvent::ToolResult { name, success, text } => {
            let name = name.as_deref().unwrap_or("a tool");
            let how = if *success { "returned" } else { "failed" };
            format!("{name} {how}: {text}")
        }
        RunEvent::ApiRetry { attempt, status } => {
            let attempt = attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
            let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
            format!("waits to call the model again after a failure{status}{attempt}")
        }
        RunEvent::Denied { name } => format!("was not allowed to use {name}"),
        RunEvent::Ending => "is being ended".to_owned(),
        RunEvent::Started { .. } | RunEvent::Session { .. } => return None,
    };
    Some(one_line(line.trim_end(), LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_one_bounded_line() {
        let tool =
            |name: &str, input: &str| RunEvent::ToolUse { name: name.into(), input: input.into() };
        let result = |name: Option<&str>, success, text: &str| RunEvent::ToolResult {
            name: name.map(str::to_owned),
            success,
            text: text.into(),
        };
        let lines = [
            (RunEvent::Text { text: "one\ntwo\u{1b}[2J\n".into() }, "says: one two\\u{1b}[2J"),
            (tool("Bash", "ls -l"), "uses Bash: ls -l"),
            (tool("Think", ""), "uses Think"),
            (result(Some("Bash"), true, "a\nb"), "Bash returned: a b"),
            (result(None, false, ""), "a tool failed:"),
            (
                RunEvent::ApiRetry { attempt: Some(2), status: Some(529) },
                "waits to call the model again after a failure (HTTP 529), attempt 2",
            ),
            (
                RunEvent::ApiRetry { attempt: None, status: None },
                "waits to call the model again after a failure",
            ),
            (RunEvent::Denied { name: "Bash".into() }, "was not allowed to use Bash"),
        ];
        for (event, line) in lines {
            assert_eq!(summary(&event).as_deref(), Some(line));
        }
        let long = summary(&RunEvent::Text { text: "x".repeat(1000) }).expect("a line");
        assert_eq!((long.chars().count(), long.ends_with("x…")), (LINE + 1, true));
        assert_eq!(summary(&RunEvent::Session { id: "s".into() }), None);
    }
}
