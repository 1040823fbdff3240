//! The prompt policy `classic`: plain headings, nothing trimmed.
//!
//! The format is a promise: prompts that people tuned for years must arrive byte
//! for byte as before, so the headings and their order never change.

use support::bindings::agent_dispatch::policy::types::{
    PolicyError, Reply, Request, SharedContext,
};
use support::bindings::exports::agent_dispatch::policy::prompt::{Guest, Interpretation, Rendered};

struct Classic;
support::bindings::export!(Classic with_types_in support::bindings);

impl Guest for Classic {
    fn check(config: String) -> Result<(), PolicyError> {
        support::no_config("classic", &config)
    }

    fn render(_config: String, request: Request) -> Result<Rendered, PolicyError> {
        let context = context(&request);
        let caller = support::present(request.caller.as_ref());
        let goal = support::present(request.goal.as_ref());
        let mut user = match (&context, caller, goal) {
            (None, None, None) => request.task.clone(),
            (Some(context), None, None) => {
                format!("Context:\n{context}\n\nTask:\n{}", request.task)
            }
            _ => headed(goal, caller, context.as_deref(), &request.task),
        };
        if request.answer_format == "json" {
            user = user + "\n\n## Response format\n" + support::JSON_ANSWER;
        }
        Ok(Rendered { user, system: support::standing_instructions(&request.agent) })
    }

    fn interpret(
        _config: String,
        request: Request,
        reply: Reply,
    ) -> Result<Interpretation, PolicyError> {
        Ok(support::interpret(&request, &reply))
    }
}

/// The four sections, the absent ones left out.
fn headed(goal: Option<&str>, caller: Option<&str>, context: Option<&str>, task: &str) -> String {
    [("Goal", goal), ("Dispatched by", caller), ("Context", context), ("Task", Some(task))]
        .into_iter()
        .filter_map(|(heading, text)| text.map(|text| format!("## {heading}\n{text}")))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// The request's context, led by what its group shares. Only where there is such
/// a text both are freed of white space around them.
fn context(request: &Request) -> Option<String> {
    let context = support::present(request.context.as_ref());
    let Some(SharedContext { group, text, .. }) = &request.shared_context else {
        return context.map(str::to_owned);
    };
    if strip(text).is_empty() {
        return context.map(str::to_owned);
    }
    let shared = format!("Shared context (group '{group}'):\n{}", strip(text));
    Some(match context.map(strip).filter(|context| !context.is_empty()) {
        Some(context) => format!("{shared}\n\n{context}"),
        None => shared,
    })
}

/// `text` without white space around it. The four ASCII separators count as such:
/// they did in the format's first implementation.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f'))
}
