//! The proof that the interfaces for aggregates and dialogues carry what they must:
//! whole loops, played by a small host in memory with one component that exports
//! both kinds. Nothing of the program itself is involved.

use std::path::Path;
use std::sync::LazyLock;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

mod aggregate;
mod call;
mod dialogue;

mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package test:both-kinds;
            world both {
                include agent-dispatch:policy/aggregate-policy@0.1.0;
                include agent-dispatch:policy/dialogue-policy@0.1.0;
            }
        ",
        world: "test:both-kinds/both",
        additional_derives: [PartialEq],
    });
}
use bindings::Both;
use bindings::agent_dispatch::policy::{host, types};
use types::{Agent, Allowance, Piece, Reply, Span};

/// How many bytes of a reply a policy gets to see here.
const INPUT_LIMIT: usize = 4000;

struct NoLog;
impl types::Host for NoLog {}
impl host::Host for NoLog {
    fn log(&mut self, _level: host::Level, _message: String) {}
}

static PROOF: LazyLock<(Engine, Component)> = LazyLock::new(|| {
    let engine = Engine::default();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/proof.wasm");
    let component = Component::from_file(&engine, file).unwrap();
    (engine, component)
});

/// A fresh instance, as for every call: what a policy knows it was told.
fn instance() -> (Store<NoLog>, Both) {
    let (engine, component) = &*PROOF;
    let mut linker = Linker::new(engine);
    Both::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).unwrap();
    let mut store = Store::new(engine, NoLog);
    let policy = Both::instantiate(&mut store, component, &linker).unwrap();
    (store, policy)
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
