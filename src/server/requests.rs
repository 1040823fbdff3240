//! From a tool call's arguments to what the core is asked.

use serde_json::Value;

use super::arguments::Arguments;
use crate::dispatch::{Conversation, Dialogue, Fetch, Form, GivenAs, Newcomer, Parallel, Request};

/// How many characters of a reply go with a reference to it, where nobody says, and at most.
const SUMMARY_CHARS: (usize, usize) = (500, 100_000);

/// A dispatch, whose answer may be one that was given before.
pub(super) fn dispatch(arguments: &Arguments) -> Result<Request, String> {
    Ok(Request { fresh: arguments.flag("fresh")?, ..task(arguments)? })
}

/// How the reply to a dispatch is wanted.
pub(super) fn wanted(arguments: &Arguments) -> Result<GivenAs, String> {
    let (default, most) = SUMMARY_CHARS;
    let chars = arguments.given("summary_chars").map(|_| number(arguments, "summary_chars"));
    let chars = chars.transpose()?.unwrap_or(default).min(most);
    let by_reference = arguments.flag("return_ref")?;
    Ok(if by_reference { GivenAs::Reference(chars) } else { GivenAs::Reply })
}

/// A reply that was kept, or a page of it.
pub(super) fn fetch(arguments: &Arguments) -> Result<Fetch, String> {
    Ok(Fetch {
        reference: arguments.required("ref")?,
        max_chars: number(arguments, "max_chars")?,
        offset: number(arguments, "offset")?,
    })
}

fn number(arguments: &Arguments, name: &str) -> Result<usize, String> {
    Ok(arguments.count(name)?.try_into().unwrap_or(usize::MAX))
}

/// A dispatch within a conversation.
pub(super) fn session(arguments: &Arguments) -> Result<Request, String> {
    let conversation = Conversation::from_id(&arguments.text("session_id")?);
    Ok(Request { conversation, form: Form::Session, ..task(arguments)? })
}

/// A dispatch that somebody watches: it is always done, and for nobody else.
pub(super) fn stream(arguments: &Arguments) -> Result<Request, String> {
    Ok(Request { conversation: Conversation::New, form: Form::Stream, ..task(arguments)? })
}

/// A dispatch that outlives this server.
pub(super) fn job(arguments: &Arguments) -> Result<Request, String> {
    Ok(Request { form: Form::Job, ..task(arguments)? })
}

/// Several dispatches, as a list or as the text of one, and how their replies are wanted.
pub(super) fn parallel(arguments: &Arguments) -> Result<(Parallel, Vec<GivenAs>), String> {
    let read;
    let items = match arguments.given("dispatches") {
        Some(Value::String(text)) => {
            read = serde_json::from_str(text)
                .map_err(|error| format!("'dispatches' is no JSON: {error}"))?;
            &read
        }
        Some(value) => value,
        None => &Value::Null,
    };
    let Value::Array(items) = items else {
        return Err("'dispatches' has to be a list of objects, each with agent and task".to_owned());
    };
    let dispatches = items.iter().enumerate().map(|(place, item)| {
        let part = format!("dispatches[{place}]");
        match item {
            Value::Object(item) => {
                let item = Arguments::part(&part, item.clone());
                Ok((dispatch(&item)?, wanted(&item)?))
            }
            _ => Err(format!("'{part}' has to be an object with agent and task")),
        }
    });
    let dispatches = dispatches.collect::<Result<Vec<_>, String>>()?;
    let (dispatches, wanted) = dispatches.into_iter().unzip();
    let call = Parallel {
        dispatches,
        aggregator: arguments.name("aggregate")?,
        policy: arguments.name("aggregate_policy")?,
    };
    Ok((call, wanted))
}

/// A dialogue of two agents.
pub(super) fn dialogue(arguments: &Arguments) -> Result<Dialogue, String> {
    let max_rounds = arguments.given("max_rounds").map(|_| arguments.count("max_rounds"));
    let max_rounds = max_rounds.transpose()?.map(|rounds| rounds.try_into().unwrap_or(u32::MAX));
    Ok(Dialogue {
        requester: arguments.required("requester")?,
        responder: arguments.required("responder")?,
        topic: arguments.required("topic")?,
        max_rounds,
        policy: arguments.name("policy")?,
    })
}

/// A directory that is to be an agent.
pub(super) fn newcomer(arguments: &Arguments) -> Result<Newcomer, String> {
    Ok(Newcomer {
        name: arguments.required("name")?,
        directory: arguments.required("directory")?.into(),
        description: arguments.text("description")?,
        ..Newcomer::default()
    })
}

/// What all dispatches have in common.
fn task(arguments: &Arguments) -> Result<Request, String> {
    Ok(Request {
        agent: arguments.required("agent")?,
        task: arguments.required("task")?,
        context: arguments.text("context")?,
        caller: arguments.text("caller")?,
        goal: arguments.text("goal")?,
        timeout_seconds: arguments.count("timeout_seconds")?,
        ..Request::default()
    })
}
