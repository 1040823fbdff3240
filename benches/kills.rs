//! Ends servers, runners and calls at random moments, with agents that do not want to
//! go, and counts what is left of them.
//!
//! `cargo bench --bench kills` prints the counts, for each way to end how often it was
//! tried, how long it took at most until nothing was left, and the survivors.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::mcp::Client;
use support::{World, runner_of};

const ROUNDS: usize = 200;

/// How many rounds go on at once: most of their time they wait.
const AT_ONCE: usize = 4;

/// Within this the end comes, counted from the first message to the server.
const MOMENTS: u64 = 150_000; // microseconds

/// What is alive after this is a survivor. A cancelled run has two seconds to end by
/// itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(4);

/// Agents that leave daemons, and whose processes ignore being asked.
const AGENTS: [(&str, &str); 3] = [
    (
        "hidden",
        "leave daemon double-fork new-session no-environment no-descriptors ignores-term\nhang",
    ),
    ("deaf", "ignore-term\nleave-child\nhang"),
    ("hydra", "leave daemon new-session no-environment forks-on-term\nhang"),
];

/// The ways to end.
const WAYS: [&str; 6] = [
    "SIGKILL of the server",
    "SIGKILL of the runner",
    "SIGTERM to the server",
    "SIGINT, SIGTERM, SIGKILL as Claude Code sends them",
    "standard input closed",
    "calls cancelled",
];

/// The place among them of the one that needs a runner to be there.
const RUNNER: usize = 1;

struct Round {
    way: usize,
    /// Until nothing was left.
    took: Duration,
    survivors: usize,
}

fn main() {
    let (next, rounds) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < ROUNDS {
                    let round = round();
                    rounds.lock().expect("a list").push(round);
                }
            });
        }
    });
    let rounds = rounds.into_inner().expect("a list");
    println!("{:58} {:>12} {:>12} {:>12}", "ended by", "rounds", "longest, s", "survivors");
    for (way, name) in WAYS.iter().enumerate() {
        row(name, rounds.iter().filter(|round| round.way == way));
    }
    row("all", rounds.iter());
}

fn row<'r>(name: &str, rounds: impl Iterator<Item = &'r Round> + Clone) {
    let longest = rounds.clone().map(|round| round.took).max().unwrap_or_default();
    let survivors: usize = rounds.clone().map(|round| round.survivors).sum();
    println!("{name:58} {:12} {:12.2} {survivors:12}", rounds.count(), longest.as_secs_f64());
}

fn round() -> Round {
    let world = World::new();
    for (name, script) in AGENTS {
        world.agent(name, script);
    }
    let names = AGENTS.map(|(name, _)| name);
    world.agent("first", "answer ok");
    world.config(&world.agents_yaml(&[&names[..], &["first"]].concat()));
    let mut client = Client::connect(&world);
    // Or most ends would come while the policy is compiled.
    client.tool("dispatch", json!({"agent": "first", "task": "x"}));
    for name in names {
        client.begin(name, "dispatch", json!({"agent": name, "task": "x"}));
    }
    let way = usize::try_from(random() % WAYS.len() as u64).expect("a small number");
    let mut client = Some(client);
    let since = end(way, &mut client, &names);
    let mut left = world.processes();
    while !left.is_empty() && since.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
        left = world.processes();
    }
    let took = since.elapsed();
    if !left.is_empty() {
        println!("survived {}: {left:#?}", WAYS[way]);
        for name in names {
            // They end with their file.
            let _ = std::fs::remove_file(world.path(name).join("daemon"));
        }
    }
    Round { way, took, survivors: left.len() }
}

/// Ends it this way and says when.
fn end(way: usize, client: &mut Option<Client>, names: &[&str]) -> Instant {
    let Some(open) = client.as_mut() else { return Instant::now() };
    let server = open.pid();
    if way == RUNNER {
        // What begins after its end runs under another one, as it should.
        for _ in names {
            while open.receive()["method"] != "notifications/progress" {}
        }
    }
    // Not at an event, but anywhere between two.
    thread::sleep(Duration::from_micros(random() % MOMENTS));
    let since = Instant::now();
    match way {
        0 => signal(server, Signal::KILL),
        RUNNER => signal(runner_of(server).expect("a runner"), Signal::KILL),
        2 => signal(server, Signal::TERM),
        3 => {
            signal(server, Signal::INT);
            thread::sleep(Duration::from_millis(100));
            signal(server, Signal::TERM);
            thread::sleep(Duration::from_millis(400));
            signal(server, Signal::KILL);
        }
        4 => drop(client.take().map(Client::close)),
        _ => {
            for name in names {
                open.cancel(name);
            }
        }
    }
    since
}

/// Only ever to a child of ours, or of one of ours that we wait for.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, signal);
    }
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}
