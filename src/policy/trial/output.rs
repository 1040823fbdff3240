//! What a policy decided, as JSON.

use serde_json::{Map, Value, json};

use super::{Decided, in_a_word};
use crate::policy::aggregate::Piece;
use crate::policy::aggregate::{self, Aggregate, Answer, Ask};
use crate::policy::describe::Description;
use crate::policy::dialogue::{self, Dialogue, Side, Speak, Stop};
use crate::policy::error::{Failure, PolicyError};
use crate::policy::prompt::{self, Edit, Meaning, Rendered};
use crate::policy::steps::Stepper;

/// A mapping without what is absent.
fn mapping<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    let present = pairs.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

pub(super) fn failure(failure: &Failure) -> Value {
    let (word, said) = in_a_word(failure);
    json!({"error": {word: said}})
}

pub(super) fn rendered(rendered: Rendered) -> Decided {
    let Rendered { user, system } = rendered;
    (mapping([("system", json!(system)), ("user", json!(user))]), Vec::new())
}

pub(super) fn meaning(meaning: Meaning, text: &str) -> Decided {
    let Meaning { edit, outcome, hint, parsed } = meaning;
    let (edit, texts) = match edit {
        Edit::Keep => (json!("keep"), Vec::new()),
        Edit::KeepFirst(bytes) => {
            let kept = prompt::first(text, bytes).to_owned();
            (json!({"keep_first": bytes}), vec![("what stays".to_owned(), kept)])
        }
        Edit::Replace(text) => (json!({"replace": text}), Vec::new()),
    };
    let fields = [
        ("edit", edit),
        ("outcome", json!(outcome)),
        ("hint", json!(hint)),
        ("parsed", json!(parsed)),
    ];
    (mapping(fields), texts)
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
    let outcome = match decision {
        Decision::Wait => json!("wait"),
        Decision::Ask(asks) => {
            for Ask { agent, context, .. } in asks {
                join(format!("the context for {agent}"), context)?;
            }
            json!({"ask": asks.iter().map(ask).collect::<Vec<_>>()})
        }
        Decision::Answer(Answer::Item(item)) => json!({"answer": {"item": item}}),
        Decision::Answer(Answer::Text(text)) => {
            join("the answer".to_owned(), text)?;
            json!({"answer": {"text": pieces(text)}})
        }
        Decision::GiveUp(reason) => json!({"give_up": reason}),
    };
    Ok((outcome, texts))
}

fn ask(ask: &Ask) -> Value {
    mapping([
        ("agent", json!(ask.agent)),
        ("task", json!(ask.task)),
        ("context", Value::Array(pieces(&ask.context))),
        ("answer_format", json!(ask.answer_format)),
        ("continues", json!(ask.continues)),
        ("tag", json!(ask.tag)),
    ])
}

pub(super) fn dialogue(
    policy: &Stepper<Dialogue>,
    situation: &dialogue::Situation<'_>,
    decision: &dialogue::Decision,
) -> Result<Decided, PolicyError> {
    use dialogue::Decision;
    let join = |what: &str, pieces: &[Piece]| {
        Ok::<_, PolicyError>(vec![(what.to_owned(), policy.join(situation, pieces, 0)?)])
    };
    Ok(match decision {
        Decision::Speak(Speak { to, message, tag }) => {
            let side = match to {
                Side::Requester => "requester",
                Side::Responder => "responder",
            };
            let speak = json!({"to": side, "message": pieces(message), "tag": tag});
            (json!({"speak": speak}), join("the message", message)?)
        }
        Decision::Resolved(answer) => {
            (json!({"resolved": pieces(answer)}), join("the answer", answer)?)
        }
        Decision::Stop(Stop { reason, answer }) => {
            let stop = mapping([
                ("reason", json!(reason)),
                ("answer", answer.as_deref().map_or(Value::Null, |answer| pieces(answer).into())),
            ]);
            let texts = answer.as_deref().map_or(Ok(Vec::new()), |it| join("the answer", it))?;
            (json!({"stop": stop}), texts)
        }
    })
}

fn pieces(pieces: &[Piece]) -> Vec<Value> {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => json!({"text": text}),
        Piece::Reply(span) => {
            json!({"reply": {"reply": span.reply, "start": span.start, "end": span.end}})
        }
    };
    pieces.iter().map(piece).collect()
}
