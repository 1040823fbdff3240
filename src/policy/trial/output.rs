//! What a policy decided, as JSON.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Decided, in_a_word};
use crate::policy::aggregate::Piece;
use crate::policy::aggregate::{self, Aggregate, Answer, Ask};
use crate::policy::describe::Description;
use crate::policy::dialogue::{self, Dialogue, Speak, Stop};
use crate::policy::error::{Failure, PolicyError};
use crate::policy::prompt::{self, Edit, Meaning, Rendered};
use crate::policy::steps::Stepper;

/// A value as the other room writes it, without what is absent.
fn written(value: impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    drop_absent(&mut value);
    value
}

fn drop_absent(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_absent);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_absent),
        _ => {}
    }
}

pub(super) fn failure(failure: &Failure) -> Value {
    let (word, said) = in_a_word(failure);
    json!({"error": {word: said}})
}

pub(super) fn rendered(rendered: Rendered) -> Decided {
    (written(rendered), Vec::new())
}

pub(super) fn meaning(meaning: Meaning, text: &str) -> Decided {
    let Meaning { edit, outcome, hint, parsed } = meaning;
    let texts = match edit {
        Edit::KeepFirst(bytes) => {
            vec![("what stays".to_owned(), prompt::first(text, bytes).to_owned())]
        }
        Edit::Keep | Edit::Replace(_) => Vec::new(),
    };
    // What was parsed is a value by now, of which nothing is left out.
    let mut meaning = written(json!({"edit": edit, "outcome": outcome, "hint": hint}));
    if let Some(parsed) = parsed {
        meaning["parsed"] = parsed;
    }
    (meaning, texts)
}

pub(super) fn description(description: Description) -> Decided {
    let Description { text, mcp_servers, stacks, databases } = description;
    let outcome = json!({
        "text": text, "mcp_servers": mcp_servers, "stacks": stacks, "databases": databases,
    });
    (outcome, Vec::new())
}

pub(super) fn aggregate(
    policy: &Stepper<Aggregate>,
    situation: &aggregate::Situation<'_>,
    decision: &aggregate::Decision,
) -> Result<Decided, PolicyError> {
    use aggregate::Decision;
    let mut texts = Vec::new();
    let mut join = |what: String, pieces: &[Piece]| {
        if !pieces.is_empty() {
            texts.push((what, policy.join(situation, pieces, 0)?));
        }
        Ok::<_, PolicyError>(())
    };
    match decision {
        Decision::Ask(asks) => {
            for Ask { agent, context, .. } in asks {
                join(format!("the context for {agent}"), context)?;
            }
        }
        Decision::Answer(Answer::Text(text)) => join("the answer".to_owned(), text)?,
        Decision::Wait | Decision::Answer(Answer::Item(_)) | Decision::GiveUp(_) => {}
    }
    Ok((written(decision), texts))
}

pub(super) fn dialogue(
    policy: &Stepper<Dialogue>,
    situation: &dialogue::Situation<'_>,
    decision: &dialogue::Decision,
) -> Result<Decided, PolicyError> {
    use dialogue::Decision;
    let (what, pieces) = match decision {
        Decision::Speak(Speak { message, .. }) => ("the message", Some(message)),
        Decision::Resolved(answer) => ("the answer", Some(answer)),
        Decision::Stop(Stop { answer, .. }) => ("the answer", answer.as_ref()),
    };
    let text = pieces.map(|pieces| policy.join(situation, pieces, 0)).transpose()?;
    Ok((written(decision), text.map(|text| (what.to_owned(), text)).into_iter().collect()))
}
