//! The built-in policies for aggregates and dialogues, each in whole loops that a small
//! host in memory plays with its component. Nothing of the program itself is involved.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

mod aggregate;
mod call;
mod dialogue;
mod judge_and_refine;
mod map_reduce;

mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wasmtime::component::bindgen!({
        path: "wit/0.1.0",
        world: "aggregate-policy",
        additional_derives: [PartialEq],
    });

    /// The world of dialogue policies; what both kinds share is that of the one above.
    pub(super) mod dialogues {
        wasmtime::component::bindgen!({
            path: "wit/0.1.0",
            world: "dialogue-policy",
            additional_derives: [PartialEq],
            with: {
                "agent-dispatch:policy/types": super::agent_dispatch::policy::types,
                "agent-dispatch:policy/host": super::agent_dispatch::policy::host,
            },
        });
    }
}
use bindings::AggregatePolicy;
use bindings::agent_dispatch::policy::{host, types};
use bindings::dialogues::DialoguePolicy;
use types::{Agent, Allowance, Piece, PolicyError, Reply, Span};

/// How many bytes of a reply a policy gets to see here.
const INPUT_LIMIT: usize = 4000;

struct NoLog;
impl types::Host for NoLog {}
impl host::Host for NoLog {
    fn log(&mut self, _level: host::Level, _message: String) {}
}

/// The built-in component of this name; a test process compiles each one once.
fn component(name: &'static str) -> (Engine, Component) {
    static COMPILED: LazyLock<(Engine, Mutex<HashMap<&str, Component>>)> =
        LazyLock::new(Default::default);
    let (engine, compiled) = &*COMPILED;
    let mut compiled = compiled.lock().unwrap();
    let component = compiled.entry(name).or_insert_with(|| {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/built");
        Component::from_file(engine, built.join(name).with_extension("wasm")).unwrap()
    });
    (engine.clone(), component.clone())
}

/// A fresh instance, as for every call: what a policy knows it was told.
fn aggregate_policy(name: &'static str) -> (Store<NoLog>, AggregatePolicy) {
    let (engine, component) = component(name);
    let mut linker = Linker::new(&engine);
    AggregatePolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).unwrap();
    let mut store = Store::new(&engine, NoLog);
    let policy = AggregatePolicy::instantiate(&mut store, &component, &linker).unwrap();
    (store, policy)
}

/// The same of a policy for dialogues.
fn dialogue_policy(name: &'static str) -> (Store<NoLog>, DialoguePolicy) {
    let (engine, component) = component(name);
    let mut linker = Linker::new(&engine);
    DialoguePolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).unwrap();
    let mut store = Store::new(&engine, NoLog);
    let policy = DialoguePolicy::instantiate(&mut store, &component, &linker).unwrap();
    (store, policy)
}

/// What is wrong with a config, in the policy's words.
fn refusal(checked: Result<(), PolicyError>) -> String {
    match checked {
        Err(PolicyError::InvalidConfig(text)) => text,
        other => panic!("it was not refused: {other:?}"),
    }
}

fn agent(name: &str) -> Agent {
    Agent {
        name: name.into(),
        directory: format!("/srv/{name}"),
        description: None,
        capabilities: vec![],
        instructions: None,
        facts: vec![],
    }
}

fn allowance() -> Allowance {
    Allowance { rounds: 10, asks: 20, spend_usd: None, time_ms: None, facts: vec![] }
}

/// The replies of one call, uncut; none where one still runs.
#[derive(Default)]
struct Texts(Vec<Option<String>>);

impl Texts {
    /// Joins what a policy put together; a reply that it cannot know fails the test.
    fn join(&self, pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| self.read(piece)).collect()
    }

    fn read<'a>(&'a self, piece: &'a Piece) -> &'a str {
        match piece {
            Piece::Text(text) => text,
            Piece::Reply(Span { reply, start, end }) => {
                let text = self.0[*reply as usize].as_deref().unwrap();
                let bound = |at: &u64| text.floor_char_boundary(usize::try_from(*at).unwrap());
                text.get(bound(start)..bound(end)).unwrap_or_default()
            }
        }
    }
}

/// The reply as a policy sees it: of a long text the head and the tail, and a line
/// between them that says what is missing.
fn seen(reply: Reply) -> Reply {
    let text = &reply.text;
    if text.len() <= INPUT_LIMIT {
        return reply;
    }
    let head = text.floor_char_boundary(INPUT_LIMIT / 2);
    let tail = text.ceil_char_boundary(text.len() - INPUT_LIMIT / 2);
    let cut = format!("{}\n[{} bytes are missing]\n{}", &text[..head], tail - head, &text[tail..]);
    Reply { text: cut, complete: false, ..reply }
}

fn reply(text: &str) -> Reply {
    Reply {
        success: true,
        text: text.into(),
        size: text.len() as u64,
        complete: true,
        error_type: None,
        error: None,
        outcome: None,
        parsed: None,
        cost_usd: None,
        duration_ms: None,
        turns: None,
        facts: vec![],
    }
}

fn failed(error: &str) -> Reply {
    Reply {
        success: false,
        error_type: Some("cli_error".into()),
        error: Some(error.into()),
        ..reply("")
    }
}

/// More than a policy gets to see, no part of it like another.
fn large() -> String {
    (0..2000).fold(String::new(), |text, number| text + &number.to_string() + "\n")
}
