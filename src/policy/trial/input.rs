//! What a policy is given, read from JSON. What is left out is as in a plain call; a key
//! that is not known is an error, because somebody has mistyped it.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::policy::aggregate::{self, Item, ItemState};
use crate::policy::dialogue::{self, Side, Turn};
use crate::policy::prompt::{Agent, Reply, Request};
use crate::policy::text::Told;

/// What an aggregate policy may use up where nothing else is said, as in the config.
const ROUNDS: u32 = 3;
const ASKS: u32 = 20;

/// A reply and its text.
type Said = (Reply, String);

/// The request of a prompt policy, and the reply where there is one to interpret.
pub(super) fn prompt(given: Value) -> Result<(Request, Option<Said>), String> {
    let (mut given, reply) = (object(given)?, "reply");
    let said = match given.shift_remove(reply).filter(|said| !said.is_null()) {
        Some(said) => Some(told(fill(&reply_form(), Some(said), reply)?)?),
        None => None,
    };
    let form = json!({
        "agent": agent_form("agent"), "task": "", "context": null, "caller": null,
        "goal": null, "shared_context": null, "answer_format": "text",
        "timeout_seconds": 300, "spend_cap_usd": null, "depth": 0, "resumed": false,
        "facts": [],
    });
    let request: Request = read(fill(&form, Some(Value::Object(given)), "")?, "the request")?;
    if request.task.trim().is_empty() && said.is_none() {
        return Err("task is missing or blank".to_owned());
    }
    Ok((request, said))
}

/// The directory of a describe policy.
pub(super) fn project(given: Value) -> Result<PathBuf, String> {
    let filled = fill(&json!({"project": "."}), Some(given), "")?;
    let project = filled["project"].as_str().ok_or("project has to be the path of a directory")?;
    Ok(PathBuf::from(project))
}

/// The situation of an aggregate policy.
pub(super) struct Aggregated {
    items: Vec<OwnItem>,
    agents: Vec<Agent>,
    aggregator: Option<String>,
    caller: Option<String>,
    goal: Option<String>,
    granted: aggregate::Allowance,
    left: aggregate::Allowance,
}

struct OwnItem {
    given: GivenItem,
    state: State,
}

#[derive(Deserialize)]
struct GivenItem {
    id: Option<u32>,
    agent: String,
    task: String,
    context: Option<String>,
    answer_format: String,
    continues: Option<u32>,
    tag: String,
    round: u32,
    state: Value,
}

#[expect(clippy::large_enum_variant, reason = "nobody tries many at once")]
enum State {
    Running,
    Settled(Said),
    Cancelled,
}

pub(super) fn aggregate(given: Value) -> Result<Aggregated, String> {
    let item = json!({
        "id": null, "agent": "agent", "task": "the task", "context": null,
        "answer_format": "text", "continues": null, "tag": "", "round": 0, "state": "running",
    });
    let form = json!({
        "items": [item], "agents": [agent_form("agent")], "aggregator": null, "caller": null,
        "goal": null, "granted": allowance_form(), "left": allowance_form(),
    });
    let mut filled = fill(&form, Some(given), "")?;
    let mut items = Vec::new();
    for (place, item) in list(&mut filled, "items").into_iter().enumerate() {
        let given: GivenItem = read(item, &format!("items[{place}]"))?;
        if given.id.is_some_and(|id| id as usize != place) {
            return Err(format!("items[{place}].id has to be {place}, its place in the list"));
        }
        let state = state(&given.state, &format!("items[{place}].state"))?;
        items.push(OwnItem { given, state });
    }
    let mut agents: Vec<Agent> = read(filled["agents"].take(), "agents")?;
    let aggregator: Option<String> = read(filled["aggregator"].take(), "aggregator")?;
    if agents.is_empty() {
        // As in a call: those who were asked, and the one that the caller named.
        let asked = items.iter().map(|item| &item.given.agent).chain(&aggregator);
        for name in asked {
            if !agents.iter().any(|agent| agent.name == *name) {
                agents.push(read(agent_form(name), "agents")?);
            }
        }
    }
    let rounds = items.iter().map(|item| item.given.round).max().unwrap_or_default();
    let asks = items.iter().filter(|item| item.given.round > 0).count();
    let (granted, left) = allowances(&mut filled, (ROUNDS, ASKS), (rounds, asks))?;
    Ok(Aggregated {
        items,
        agents,
        aggregator,
        caller: read(filled["caller"].take(), "caller")?,
        goal: read(filled["goal"].take(), "goal")?,
        granted,
        left,
    })
}

impl Aggregated {
    pub(super) fn situation(&self) -> aggregate::Situation<'_> {
        let items = self.items.iter().map(|OwnItem { given, state }| Item {
            agent: &given.agent,
            task: &given.task,
            context: given.context.as_deref().unwrap_or_default(),
            answer_format: &given.answer_format,
            continues: given.continues,
            tag: &given.tag,
            round: given.round,
            state: match state {
                State::Running => ItemState::Running,
                State::Settled((facts, text)) => {
                    ItemState::Settled(Told { facts: facts.clone(), text })
                }
                State::Cancelled => ItemState::Cancelled(Told { facts: cancelled(), text: "" }),
            },
        });
        aggregate::Situation {
            items: items.collect(),
            agents: &self.agents,
            aggregator: self.aggregator.as_deref(),
            caller: self.caller.as_deref(),
            goal: self.goal.as_deref(),
            granted: self.granted.clone(),
            left: self.left.clone(),
        }
    }
}

fn state(given: &Value, place: &str) -> Result<State, String> {
    let wrong =
        || format!("{place} has to be running, cancelled, or a mapping with settled and the reply");
    match given {
        Value::String(word) if word == "running" => Ok(State::Running),
        Value::String(word) if word == "cancelled" => Ok(State::Cancelled),
        Value::Object(cases) if cases.len() == 1 && cases.contains_key("settled") => {
            let said = fill(&reply_form(), cases.get("settled").cloned(), place)?;
            Ok(State::Settled(told(said)?))
        }
        _ => Err(wrong()),
    }
}

/// The situation of a dialogue policy.
pub(super) struct Talk {
    topic: String,
    requester: Agent,
    responder: Agent,
    turns: Vec<OwnTurn>,
    granted: dialogue::Allowance,
    left: dialogue::Allowance,
}

struct OwnTurn {
    side: Side,
    round: u32,
    message: String,
    tag: String,
    reply: Said,
}

#[derive(Deserialize)]
struct GivenTurn {
    side: String,
    round: Option<u32>,
    message: String,
    tag: String,
    reply: Value,
}

pub(super) fn dialogue(given: Value) -> Result<Talk, String> {
    let turn = json!({
        "side": "", "round": null, "message": "the message", "tag": "", "reply": reply_form(),
    });
    let form = json!({
        "topic": "", "requester": agent_form("requester"), "responder": agent_form("responder"),
        "turns": [turn], "granted": allowance_form(), "left": allowance_form(),
    });
    let mut filled = fill(&form, Some(given), "")?;
    let topic: String = read(filled["topic"].take(), "topic")?;
    if topic.trim().is_empty() {
        return Err("topic is missing or blank".to_owned());
    }
    let mut turns: Vec<OwnTurn> = Vec::new();
    for (place, turn) in list(&mut filled, "turns").into_iter().enumerate() {
        let given: GivenTurn = read(turn, &format!("turns[{place}]"))?;
        let side = match &*given.side {
            "requester" => Side::Requester,
            "responder" => Side::Responder,
            _ => return Err(format!("turns[{place}].side has to be requester or responder")),
        };
        let earlier = turns.iter().filter(|turn| turn.side == side).count();
        let round = given.round.unwrap_or(u32::try_from(earlier + 1).unwrap_or(u32::MAX));
        let GivenTurn { message, tag, reply, .. } = given;
        turns.push(OwnTurn { side, round, message, tag, reply: told(reply)? });
    }
    let of = |side| turns.iter().filter(|turn| turn.side == side).count();
    let rounds = of(Side::Requester).min(of(Side::Responder));
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    let used = (rounds, turns.len());
    let (granted, left) = allowances(&mut filled, (ROUNDS, 2 * ROUNDS), used)?;
    Ok(Talk {
        topic,
        requester: read(filled["requester"].take(), "requester")?,
        responder: read(filled["responder"].take(), "responder")?,
        turns,
        granted,
        left,
    })
}

impl Talk {
    pub(super) fn situation(&self) -> dialogue::Situation<'_> {
        let turns = self.turns.iter().map(|turn| Turn {
            side: turn.side,
            round: turn.round,
            message: &turn.message,
            tag: &turn.tag,
            reply: Told { facts: turn.reply.0.clone(), text: &turn.reply.1 },
        });
        dialogue::Situation {
            topic: &self.topic,
            requester: &self.requester,
            responder: &self.responder,
            turns: turns.collect(),
            granted: self.granted.clone(),
            left: self.left.clone(),
        }
    }
}

fn agent_form(name: &str) -> Value {
    json!({
        "name": name, "directory": format!("/projects/{name}"), "description": null,
        "capabilities": [""], "instructions": null, "facts": [],
    })
}

fn reply_form() -> Value {
    json!({
        "text": "", "success": null, "error_type": null, "error": null, "outcome": null,
        "parsed": null, "cost_usd": null, "duration_ms": null, "turns": null, "facts": [],
    })
}

fn allowance_form() -> Value {
    json!({"rounds": null, "asks": null, "spend_usd": null, "time_ms": null, "facts": []})
}

/// What is given, put over what stands where nothing is. A list in the form holds the form
/// of its items; a text in the place of a mapping is its first key's.
fn fill(form: &Value, given: Option<Value>, place: &str) -> Result<Value, String> {
    match (form, given.filter(|given| !given.is_null())) {
        (Value::Array(_), None) => Ok(json!([])),
        (Value::Array(forms), Some(Value::Array(given))) => {
            let Some(form) = forms.first() else {
                let none = given.is_empty().then(|| json!([]));
                return none.ok_or_else(|| format!("{place}: no names are defined for these yet"));
            };
            let items = given.into_iter().enumerate();
            items.map(|(at, item)| fill(form, Some(item), &format!("{place}[{at}]"))).collect()
        }
        (Value::Array(_), Some(_)) => Err(format!("{place} has to be a list")),
        (Value::Object(form), None) => fill_mapping(form, Map::new(), place),
        (Value::Object(form), Some(Value::Object(given))) => fill_mapping(form, given, place),
        (Value::Object(form), Some(Value::String(text))) if !place.is_empty() => {
            let first = form.keys().next().cloned().unwrap_or_default();
            fill_mapping(form, Map::from_iter([(first, Value::String(text))]), place)
        }
        (Value::Object(_), Some(_)) if place.is_empty() => {
            Err("the input has to be a mapping".to_owned())
        }
        (Value::Object(_), Some(_)) => Err(format!("{place} has to be a mapping")),
        (form, None) => Ok(form.clone()),
        (_, Some(given)) => Ok(given),
    }
}

fn fill_mapping(
    form: &Map<String, Value>,
    mut given: Map<String, Value>,
    place: &str,
) -> Result<Value, String> {
    let dot = if place.is_empty() { "" } else { "." };
    let mut filled = Map::new();
    for (key, form) in form {
        let value = fill(form, given.shift_remove(key), &format!("{place}{dot}{key}"))?;
        filled.insert(key.clone(), value);
    }
    match given.keys().next() {
        None => Ok(Value::Object(filled)),
        Some(key) => {
            let known = form.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(format!("{place}{dot}{key} is not known; there are: {known}"))
        }
    }
}

fn object(given: Value) -> Result<Map<String, Value>, String> {
    match given {
        Value::Object(given) => Ok(given),
        Value::Null => Ok(Map::new()),
        _ => Err("the input has to be a mapping".to_owned()),
    }
}

fn list(filled: &mut Value, key: &str) -> Vec<Value> {
    match filled[key].take() {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}

/// A reply, whose form is filled.
fn told(mut filled: Value) -> Result<Said, String> {
    if filled["success"].is_null() {
        filled["success"] = json!(filled["error"].is_null() && filled["error_type"].is_null());
    }
    // JSON text to the policy; who writes it down may do it as what it is.
    if !matches!(filled["parsed"], Value::Null | Value::String(_)) {
        filled["parsed"] = json!(filled["parsed"].to_string());
    }
    // Both are the host's to say, of the text that is there.
    filled["size"] = json!(0);
    filled["complete"] = json!(true);
    let mut reply: Reply = read(filled, "the reply")?;
    let text = std::mem::take(&mut reply.text);
    Ok((reply, text))
}

fn cancelled() -> Reply {
    Reply {
        success: false,
        text: String::new(),
        size: 0,
        complete: true,
        error_type: None,
        error: None,
        outcome: None,
        parsed: None,
        cost_usd: None,
        duration_ms: None,
        turns: None,
        facts: Vec::new(),
    }
}

/// What there was to use up, and what is left of it, where that is not said.
fn allowances(
    filled: &mut Value,
    (rounds, asks): (u32, u32),
    (rounds_used, asks_used): (u32, usize),
) -> Result<(aggregate::Allowance, aggregate::Allowance), String> {
    let or = |allowance: &mut Value, key: &str, value: Value| {
        if allowance[key].is_null() {
            allowance[key] = value;
        }
    };
    let mut granted = filled["granted"].take();
    or(&mut granted, "rounds", json!(rounds));
    or(&mut granted, "asks", json!(asks));
    let granted: aggregate::Allowance = read(granted, "granted")?;
    let asks_used = u32::try_from(asks_used).unwrap_or(u32::MAX);
    let mut left = filled["left"].take();
    or(&mut left, "rounds", json!(granted.rounds.saturating_sub(rounds_used)));
    or(&mut left, "asks", json!(granted.asks.saturating_sub(asks_used)));
    or(&mut left, "spend_usd", json!(granted.spend_usd));
    or(&mut left, "time_ms", json!(granted.time_ms));
    Ok((granted, read(left, "left")?))
}

fn read<T: DeserializeOwned>(value: Value, what: &str) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("{what}: {error}"))
}
