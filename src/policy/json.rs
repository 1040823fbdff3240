//! What crosses into a policy and back, as JSON: the records of `wit/`, with its names in snake
//! case. A record is an object; a case is its name, or an object with its name and what it holds.
//!
//! The types are made from `wit/`, where no such names can be given: what stands here says how
//! each is written, and does not compile where one of them has changed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bindings::agent_dispatch::policy::types;
use super::bindings::aggregate::exports::agent_dispatch::policy::aggregate;
use super::bindings::dialogue::exports::agent_dispatch::policy::dialogue;
use super::bindings::exports::agent_dispatch::policy::prompt;

/// Has a type written and read as what stands here says.
macro_rules! written {
    ($($as:ident: $type:path;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $as::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $as::deserialize(deserializer)
            }
        }
    )*};
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::Fact")]
struct Fact {
    name: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::Agent")]
struct Agent {
    name: String,
    directory: String,
    description: Option<String>,
    capabilities: Vec<String>,
    instructions: Option<String>,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::SharedContext")]
struct SharedContext {
    group: String,
    text: String,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::Request")]
struct Request {
    agent: types::Agent,
    task: String,
    context: Option<String>,
    caller: Option<String>,
    goal: Option<String>,
    shared_context: Option<types::SharedContext>,
    answer_format: String,
    timeout_seconds: u32,
    spend_cap_usd: Option<f64>,
    depth: u32,
    resumed: bool,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::Reply")]
struct Reply {
    success: bool,
    text: String,
    size: u64,
    complete: bool,
    error_type: Option<String>,
    error: Option<String>,
    outcome: Option<String>,
    parsed: Option<String>,
    cost_usd: Option<f64>,
    duration_ms: Option<u64>,
    turns: Option<u32>,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::Span")]
struct Span {
    reply: u32,
    start: u64,
    end: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::Allowance")]
struct Allowance {
    rounds: u32,
    asks: u32,
    spend_usd: Option<f64>,
    time_ms: Option<u64>,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "prompt::Rendered")]
struct Rendered {
    user: String,
    system: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "prompt::Interpretation")]
struct Interpretation {
    edit: prompt::Edit,
    outcome: Option<String>,
    hint: Option<String>,
    parsed: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "aggregate::Item")]
struct Item {
    id: u32,
    agent: String,
    task: String,
    context: Option<String>,
    answer_format: String,
    continues: Option<u32>,
    tag: String,
    round: u32,
    state: aggregate::ItemState,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "aggregate::Situation")]
struct AggregateSituation {
    items: Vec<aggregate::Item>,
    agents: Vec<types::Agent>,
    aggregator: Option<String>,
    caller: Option<String>,
    goal: Option<String>,
    granted: types::Allowance,
    left: types::Allowance,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "aggregate::Ask")]
struct Ask {
    agent: String,
    task: String,
    context: Vec<types::Piece>,
    answer_format: String,
    continues: Option<u32>,
    tag: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "dialogue::Turn")]
struct Turn {
    side: dialogue::Side,
    round: u32,
    message: String,
    tag: String,
    reply: types::Reply,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "dialogue::Situation")]
struct DialogueSituation {
    topic: String,
    requester: types::Agent,
    responder: types::Agent,
    turns: Vec<dialogue::Turn>,
    granted: types::Allowance,
    left: types::Allowance,
    #[serde(default)]
    facts: Vec<types::Fact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "dialogue::Speak")]
struct Speak {
    to: dialogue::Side,
    message: Vec<types::Piece>,
    tag: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "dialogue::Stop")]
struct Stop {
    reason: String,
    answer: Option<Vec<types::Piece>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "types::Piece", rename_all = "snake_case")]
enum Piece {
    Text(String),
    Reply(types::Span),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "prompt::Edit", rename_all = "snake_case")]
enum Edit {
    Keep,
    KeepFirst(u64),
    Replace(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "aggregate::ItemState", rename_all = "snake_case")]
enum ItemState {
    Running,
    Settled(types::Reply),
    Cancelled,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "aggregate::Answer", rename_all = "snake_case")]
enum Answer {
    Item(u32),
    Text(Vec<types::Piece>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "aggregate::Decision", rename_all = "snake_case")]
enum AggregateDecision {
    Wait,
    Ask(Vec<aggregate::Ask>),
    Answer(aggregate::Answer),
    GiveUp(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "dialogue::Side", rename_all = "snake_case")]
enum Side {
    Requester,
    Responder,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "dialogue::Decision", rename_all = "snake_case")]
enum DialogueDecision {
    Speak(dialogue::Speak),
    Resolved(Vec<types::Piece>),
    Stop(dialogue::Stop),
}

written! {
    Fact: types::Fact;
    Agent: types::Agent;
    SharedContext: types::SharedContext;
    Request: types::Request;
    Reply: types::Reply;
    Span: types::Span;
    Allowance: types::Allowance;
    Rendered: prompt::Rendered;
    Interpretation: prompt::Interpretation;
    Item: aggregate::Item;
    AggregateSituation: aggregate::Situation;
    Ask: aggregate::Ask;
    Turn: dialogue::Turn;
    DialogueSituation: dialogue::Situation;
    Speak: dialogue::Speak;
    Stop: dialogue::Stop;
    Piece: types::Piece;
    Edit: prompt::Edit;
    ItemState: aggregate::ItemState;
    Answer: aggregate::Answer;
    AggregateDecision: aggregate::Decision;
    Side: dialogue::Side;
    DialogueDecision: dialogue::Decision;
}
