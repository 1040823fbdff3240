//! Bytes and values that nobody thought of: changed components for the loader, and what lies
//! at random in a guest's memory for the boundary. Whatever comes of one, it is an answer or
//! an error of that policy, and the next call works.
//!
//! A run is short and another one each time. `AGENT_DISPATCH_FUZZ_SECONDS=600` makes each of
//! these tests run that long, and `AGENT_DISPATCH_FUZZ_SEED=N` repeats the one that a failed
//! test names.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_dispatch::policy::prompt::{Agent, Reply, Request};
use agent_dispatch::policy::{ComponentSource, Host, Limits, Source, Told};
use fastrand::Rng;
use serde_json::json;

use super::guest::{Guest, built_in};
use crate::support::mcp::Client;
use crate::support::{BINARY, World};

/// Only guards against hanging.
const PATIENCE: Duration = Duration::from_mins(2);

/// Writes the bytes whose hexadecimal digits are the config's text to 16384. `$at` is the
/// config's address, `$size` its length, and both include the quotes.
const SPILL: &str = "
    (func $digit (param $c i32) (result i32)
        (if (result i32) (i32.ge_u (local.get $c) (i32.const 97))
            (then (i32.sub (local.get $c) (i32.const 87)))
            (else (i32.sub (local.get $c) (i32.const 48)))))
    (func $spill (param $at i32) (param $size i32) (result i32) (local $to i32)
        (local.set $to (i32.const 16384))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (block $done (loop $next
            (br_if $done (i32.le_u (local.get $size) (i32.const 3)))
            (i32.store8 (local.get $to) (i32.or
                (i32.shl (call $digit (i32.load8_u (local.get $at))) (i32.const 4))
                (call $digit (i32.load8_u offset=1 (local.get $at)))))
            (local.set $to (i32.add (local.get $to) (i32.const 1)))
            (local.set $at (i32.add (local.get $at) (i32.const 2)))
            (local.set $size (i32.sub (local.get $size) (i32.const 2)))
            (br $next)))
        (i32.const 16384))";

/// The result of a function that gets its config with other things in memory.
const SPILLED: &str = "(call $spill (i32.load (local.get 0)) (i32.load offset=4 (local.get 0)))";

/// Chances, and how long to take them.
struct Fuzz {
    rng: Rng,
    seed: u64,
    rounds: usize,
    until: Option<Instant>,
}

impl Fuzz {
    fn new(rounds: usize) -> Self {
        let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let seed = number("AGENT_DISPATCH_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
        let seconds = number("AGENT_DISPATCH_FUZZ_SECONDS").map(Duration::from_secs);
        let until = seconds.map(|time| Instant::now() + time);
        Self { rng: Rng::with_seed(seed), seed, rounds, until }
    }

    /// Is there another round? Shown where the test fails.
    fn goes_on(&mut self) -> bool {
        let goes_on = self.until.map_or(self.rounds > 0, |until| Instant::now() < until);
        self.rounds = self.rounds.saturating_sub(1);
        goes_on
    }

    /// The bytes with some of them changed.
    fn changed(&mut self, bytes: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        for _ in 0..=self.rng.usize(..4) {
            let at = self.rng.usize(..changed.len().max(1)).min(changed.len().saturating_sub(1));
            let end = (at + self.rng.usize(..64)).min(changed.len());
            match self.rng.u8(..7) {
                // The heads of sections, where lengths and counts stand.
                0 => changed[at.min(7 + at % 64)] ^= 1 << self.rng.u8(..8),
                1 => changed[at] ^= 1 << self.rng.u8(..8),
                2 => changed[at] = self.rng.u8(..),
                3 => changed.truncate(at.max(1)),
                4 => drop(changed.drain(at..end)),
                5 => {
                    let twice = changed[at..end].to_vec();
                    changed.splice(at..at, twice);
                }
                _ => {
                    let other = &others[self.rng.usize(..others.len())];
                    let from = self.rng.usize(..other.len());
                    let piece = other[from..(from + 200).min(other.len())].to_vec();
                    changed.splice(at..end, piece);
                }
            }
            if changed.is_empty() {
                changed.push(0);
            }
        }
        changed
    }

    /// A result at random: words that are sizes, addresses, cases, or nothing sensible.
    fn words(&mut self, count: usize) -> String {
        let mut digits = String::new();
        for place in 0..count {
            let word: u32 = match self.rng.u8(..8) {
                // Mostly a success, or nobody would look at the rest.
                _ if place == 0 && self.rng.u8(..4) > 0 => 0,
                0 | 1 => self.rng.u32(..4),
                2 => self.rng.u32(..200),
                3 => 16384 + self.rng.u32(..256),
                4 => 2048,
                5 => self.rng.u32(..140_000),
                6 => u32::MAX - self.rng.u32(..16),
                _ => self.rng.u32(..),
            };
            digits.extend(word.to_le_bytes().map(|byte| format!("{byte:02x}")));
        }
        digits
    }

    /// A text at random.
    fn text(&mut self) -> String {
        let length = [0, 1, 20, 3000][self.rng.usize(..4)];
        (0..length).map(|_| self.rng.char(..)).collect()
    }

    fn some_text(&mut self) -> Option<String> {
        self.rng.bool().then(|| self.text())
    }

    fn request(&mut self) -> Request {
        Request {
            agent: Agent {
                name: self.text(),
                directory: self.text(),
                description: self.some_text(),
                capabilities: (0..self.rng.usize(..3)).map(|_| self.text()).collect(),
                instructions: self.some_text(),
                facts: Vec::new(),
            },
            task: self.text(),
            context: self.some_text(),
            caller: self.some_text(),
            goal: self.some_text(),
            shared_context: None,
            answer_format: ["text", "json", "?"][self.rng.usize(..3)].to_owned(),
            timeout_seconds: self.rng.u32(..),
            spend_cap_usd: [None, Some(f64::NAN), Some(-1.0)][self.rng.usize(..3)],
            depth: self.rng.u32(..),
            resumed: self.rng.bool(),
            facts: Vec::new(),
        }
    }

    fn reply(&mut self) -> Reply {
        Reply {
            success: self.rng.bool(),
            text: String::new(),
            size: self.rng.u64(..),
            complete: self.rng.bool(),
            error_type: self.some_text(),
            error: self.some_text(),
            outcome: self.some_text(),
            parsed: self.some_text(),
            cost_usd: [None, Some(f64::INFINITY), Some(0.1)][self.rng.usize(..3)],
            duration_ms: Some(self.rng.u64(..)),
            turns: Some(self.rng.u32(..)),
            facts: Vec::new(),
        }
    }
}

fn source(path: &Path, config: String) -> Source {
    let component = ComponentSource::File(path.to_owned());
    Source { name: "evil".to_owned(), component, config, limits: Limits::default() }
}

/// Renders and interprets with what this is, and says whether anything of it worked.
async fn use_it(host: &Arc<Host>, source: &Source, fuzz: &mut Fuzz) -> bool {
    let seed = fuzz.seed;
    let using = async {
        let Ok(prompt) = host.prompt(source).await else { return false };
        let request = fuzz.request();
        let rendered = prompt.render(&request).await;
        let text = fuzz.text();
        let told = Told { facts: fuzz.reply(), text: &text };
        let interpreted = prompt.interpret(&request, &told).await;
        rendered.is_ok() || interpreted.is_ok()
    };
    tokio::time::timeout(PATIENCE, using).await.unwrap_or_else(|_| panic!("it hangs, seed {seed}"))
}

#[tokio::test]
async fn a_component_that_was_changed_is_an_answer_or_an_error() {
    let mut fuzz = Fuzz::new(60);
    let world = World::new();
    let host = Arc::new(Host::new(BINARY.into(), world.path("components")));
    let seeds = [built_in(), Guest::prompt().build(), Guest::describe().build()];
    let path = world.path("policy.wasm");
    while fuzz.goes_on() {
        let which = fuzz.rng.usize(..seeds.len());
        let changed = fuzz.changed(&seeds[which], &seeds);
        fs::write(&path, changed).expect("a component");
        use_it(&host, &source(&path, "{}".to_owned()), &mut fuzz).await;
    }
    // The same host, and nothing of it is stuck.
    fs::write(&path, built_in()).expect("a component");
    let prompt = host.prompt(&source(&path, "{}".to_owned())).await;
    assert!(prompt.is_ok(), "seed {}: {:?}", fuzz.seed, prompt.err());
}

#[tokio::test]
async fn what_lies_in_a_guests_memory_is_an_answer_or_an_error() {
    let mut fuzz = Fuzz::new(300);
    let world = World::new();
    let host = Arc::new(Host::new(BINARY.into(), world.path("components")));
    let (prompt, describe) = (world.path("prompt.wasm"), world.path("describe.wasm"));
    let guest = Guest {
        first: SPILLED.to_owned(),
        interpret: SPILLED.to_owned(),
        more: SPILL.to_owned(),
        ..Guest::prompt()
    };
    fs::write(&prompt, guest.build()).expect("a component");
    let first = "(call $spill (local.get $config) (local.get $size))".to_owned();
    let guest = Guest { first, more: SPILL.to_owned(), ..Guest::describe() };
    fs::write(&describe, guest.build()).expect("a component");
    let mut worked = 0;
    while fuzz.goes_on() {
        let config = format!("\"{}\"", fuzz.words(24));
        worked += usize::from(use_it(&host, &source(&prompt, config.clone()), &mut fuzz).await);
        let policy = host.describe(&source(&describe, config)).await.expect("it loads");
        let described = policy.describe(world.path("home"), ()).await;
        worked += usize::from(described.is_ok());
    }
    // Or it would try nothing but errors.
    assert!(worked > 0, "seed {}", fuzz.seed);
}

#[test]
fn decisions_at_random_lose_no_reply() {
    let mut fuzz = Fuzz::new(15);
    let world = World::with_agent("answer paid for");
    world.agent("web", "answer fine");
    for kind in ["aggregate", "dialogue"] {
        let world_name = if kind == "aggregate" { "aggregate-policy" } else { "dialogue-policy" };
        let first = SPILLED.to_owned();
        let guest = Guest { first, more: SPILL.to_owned(), ..Guest::steps(world_name) };
        fs::write(world.path(&format!("{kind}.wasm")), guest.build()).expect("a component");
    }
    let mut client = Client::connect(&world);
    let ask = json!({"agent": "infra", "task": "x", "fresh": true});
    while fuzz.goes_on() {
        let (words, seed) = (fuzz.words(24), fuzz.seed);
        let entry = |kind| format!("  {kind}: {{component: ./{kind}.wasm, config: '{words}'}}\n");
        world.config(&format!(
            "{}  aggregate: {{max_asks: 2}}\npolicies:\n{}{}",
            world.agents_yaml(&["infra", "web"]),
            entry("aggregate"),
            entry("dialogue")
        ));
        let call = json!({"dispatches": [ask], "aggregate_policy": "aggregate"});
        let answer = client.tool("dispatch_parallel", call);
        // The first step may refuse all, or answer before anything is run.
        let reply = &answer["individual_results"][0];
        let there = answer.get("error").is_some()
            || reply["result"] == "paid for"
            || reply["error_type"] == "cancelled";
        assert!(there, "seed {seed}: {answer}");
        let talk = json!({"requester": "infra", "responder": "web", "topic": "x",
                          "max_rounds": 1, "policy": "dialogue"});
        let answer = client.tool("dispatch_dialogue", talk);
        assert!(answer.is_object(), "seed {seed}: {answer}");
    }
}
