//! What the judge's replies mean.

use aggregating::bindings::agent_dispatch::policy::types::Reply;
use serde_json::Value;

/// The number of the best answer. Where no JSON was found, or a text in it, it is the
/// first number there.
pub(crate) fn best(verdict: &Reply) -> Option<u32> {
    let said = match &verdict.parsed {
        Some(json) => match json_value(json).get("best")? {
            Value::String(text) => text.clone(),
            number => return number.as_u64()?.try_into().ok(),
        },
        None => verdict.text.clone(),
    };
    let mut numbers = said.split(|c: char| !c.is_ascii_digit());
    numbers.find(|digits| !digits.is_empty())?.parse().ok()
}

/// Does the judge name anything that is missing? Where no JSON was found, the whole text
/// says what.
pub(crate) fn lacks_something(verdict: &Reply) -> bool {
    match &verdict.parsed {
        Some(json) => match json_value(json).get("lacks") {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => is_something(text),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        },
        None => is_something(&verdict.text),
    }
}

fn json_value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

fn is_something(text: &str) -> bool {
    let text = text.trim().trim_end_matches('.');
    !text.is_empty() && !text.eq_ignore_ascii_case("nothing")
}
