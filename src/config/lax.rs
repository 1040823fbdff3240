//! Reading single values, as generously as the Python tool does: numbers may be
//! written as text (`"120"`) or with a zero fraction (`300.0`).

use std::ops::RangeInclusive;

use super::node::{Kind, Node};

/// A value that cannot be read, and why.
#[derive(Debug)]
pub(super) struct Invalid {
    /// The number of the value, see [`Node`].
    pub(super) at: u32,
    pub(super) message: String,
}

impl Invalid {
    pub(super) fn new(at: &Node<'_>, message: impl Into<String>) -> Self {
        Self { at: at.id, message: message.into() }
    }

    fn expected(wanted: &str, node: &Node<'_>) -> Self {
        Self::new(node, format!("must be {wanted}, but is {node}"))
    }
}

/// Text. Numbers and truth values are refused: `1.10` would lose its zero.
pub(super) fn text(node: &Node<'_>) -> Result<String, Invalid> {
    match &node.kind {
        Kind::Text(text) => Ok(text.clone().into_owned()),
        Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) => {
            let message = format!("must be text, but is {node}; put it in quotes");
            Err(Invalid::new(node, message))
        }
        _ => Err(Invalid::expected("text", node)),
    }
}

/// Text with something in it.
pub(super) fn word(node: &Node<'_>) -> Result<String, Invalid> {
    let word = text(node)?;
    if word.is_empty() {
        return Err(Invalid::new(node, "must not be empty"));
    }
    Ok(word)
}

/// A list of words.
pub(super) fn words(node: &Node<'_>) -> Result<Vec<String>, Invalid> {
    list(node, word)
}

/// A list.
pub(super) fn list<T>(
    node: &Node<'_>,
    item: impl Fn(&Node<'_>) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    match &node.kind {
        Kind::List(items) => items.iter().map(item).collect(),
        _ => Err(Invalid::expected("a list, such as [a, b]", node)),
    }
}

/// A program and its first arguments.
pub(super) fn command(node: &Node<'_>) -> Result<Vec<String>, Invalid> {
    let Kind::List(items) = &node.kind else {
        let wanted = "a list of a program and its arguments, such as [claude]";
        return Err(Invalid::expected(wanted, node));
    };
    let Some((program, arguments)) = items.split_first() else {
        return Err(Invalid::new(node, "must name a program, such as [claude]"));
    };
    let program = word(program);
    // An empty argument is an argument.
    std::iter::once(program).chain(arguments.iter().map(text)).collect()
}

/// True or false, in any of the spellings of YAML 1.1, which the Python tool reads.
pub(super) fn truth(node: &Node<'_>) -> Result<bool, Invalid> {
    let truth = match &node.kind {
        Kind::Bool(truth) => Some(*truth),
        Kind::Integer(0) => Some(false),
        Kind::Integer(1) => Some(true),
        Kind::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    truth.ok_or_else(|| Invalid::expected("true or false", node))
}

/// A whole number in a range.
pub(super) fn whole(range: RangeInclusive<u32>) -> impl Fn(&Node<'_>) -> Result<u32, Invalid> {
    move |node| {
        let number = match &node.kind {
            Kind::Integer(number) => Some(*number),
            Kind::Float(number) => integral(*number),
            Kind::Text(text) => whole_in_text(text),
            _ => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            if *most == u32::MAX {
                Invalid::expected(&format!("a whole number, at least {least}"), node)
            } else {
                Invalid::expected(&format!("a whole number from {least} to {most}"), node)
            }
        })
    }
}

/// A whole number, or none where it is `off`, which is false in YAML 1.1.
pub(super) fn whole_or_off(node: &Node<'_>) -> Result<Option<u32>, Invalid> {
    let is_off = match &node.kind {
        Kind::Bool(truth) => !truth,
        Kind::Text(text) => text.eq_ignore_ascii_case("off"),
        _ => false,
    };
    if is_off {
        return Ok(None);
    }
    let number = whole(0..=u32::MAX)(node);
    number.map(Some).map_err(|_| Invalid::expected("a whole number, at least 0, or off", node))
}

fn integral(number: f64) -> Option<i128> {
    if number.fract() != 0.0 {
        return None;
    }
    // Through text, because there is no lossless conversion; "inf" does not parse.
    format!("{number:.0}").parse().ok()
}

fn whole_in_text(text: &str) -> Option<i128> {
    let digits = text.trim().replace('_', "");
    // YAML 1.1 reads 010 as eight, YAML 1.2 as ten: nobody can know what was meant.
    if digits.len() > 1 && digits.trim_start_matches(['+', '-']).starts_with('0') {
        return digits.parse::<f64>().ok().filter(|_| digits.contains('.')).and_then(integral);
    }
    let number = digits.parse::<i128>().ok();
    number.or_else(|| digits.parse::<f64>().ok().and_then(integral))
}

/// An amount of money in US dollars.
pub(super) fn dollars(node: &Node<'_>) -> Result<f64, Invalid> {
    let amount = match &node.kind {
        Kind::Integer(number) => number.to_string().parse().ok(),
        Kind::Float(number) => Some(*number),
        Kind::Text(text) => text.trim().replace('_', "").parse().ok(),
        _ => None,
    };
    amount
        .filter(|amount: &f64| amount.is_finite() && *amount >= 0.0)
        .ok_or_else(|| Invalid::expected("an amount in US dollars, at least 0", node))
}

/// Anything that can be written as JSON.
pub(super) fn json(node: &Node<'_>) -> Result<serde_json::Value, Invalid> {
    use serde_json::{Map, Number, Value};
    Ok(match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Text(text) => Value::String(text.clone().into_owned()),
        Kind::Integer(number) => Number::from_i128(*number)
            .map(Value::Number)
            .ok_or_else(|| Invalid::new(node, "is a number of more than 64 bits"))?,
        Kind::Float(number) => Number::from_f64(*number).map(Value::Number).ok_or_else(|| {
            Invalid::new(node, format!("cannot hold {number}: JSON has no such number"))
        })?,
        Kind::List(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Kind::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let name = match &key.kind {
                    Kind::Text(name) => name.clone().into_owned(),
                    Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) => key.to_string(),
                    _ => return Err(Invalid::expected("text as a key", key)),
                };
                if object.insert(name, json(value)?).is_some() {
                    return Err(Invalid::new(key, "the same key stands here twice"));
                }
            }
            Value::Object(object)
        }
        Kind::Tagged(_) => return Err(Invalid::new(node, format!("cannot hold {node}"))),
    })
}
