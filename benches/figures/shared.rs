//! What it costs that answers are shared by all servers, and whether it costs more when there
//! are many of them.

use std::fs;
use std::time::Duration;

use agent_dispatch::store::answers::{self, BYTES, Bounds, New};
use agent_dispatch::store::journal::now_ms;
use rusqlite::Connection;
use serde_json::json;

use crate::journal::{fill, store};
use crate::support::World;
use crate::support::mcp::{Client, Streams};
use crate::{CALLS, DISPATCHES, LISTS, in_turns, list_tools, world_of};

const ANSWERS: u32 = 100_000;

/// A hundred thousand answers and as many records. Floors are the same with none.
pub(crate) fn store_of_many() {
    let worlds = [world(true), world(true)];
    fill(&worlds[0]);
    fill_with_answers(&worlds[0]);
    let what = "with 100,000 answers and records";
    both(&format!("uncached dispatch {what}, ms"), &worlds, &format!("cached dispatch {what}, ms"));
    let mut clients = connect(&worlds);
    in_turns(&format!("cache_stats {what}, ms"), &mut clients, LISTS, |_| {
        ("cache_stats", json!({}))
    });
}

/// Floors are the same without sharing.
pub(crate) fn shared() {
    let worlds = [world(true), world(false)];
    both("uncached dispatch, answers shared, ms", &worlds, "cached dispatch, answers shared, ms");
}

fn both(uncached: &str, worlds: &[World; 2], cached: &str) {
    let mut clients = connect(worlds);
    // Within two seconds of its last change a file has to be read to know it.
    std::thread::sleep(Duration::from_secs(3));
    let question =
        |task: usize| ("dispatch", json!({"agent": "agent-0", "task": format!("task {task}")}));
    in_turns(uncached, &mut clients, DISPATCHES, question);
    in_turns(cached, &mut clients, CALLS, |_| question(0));
    for client in &mut clients {
        assert_eq!(client.tool("dispatch", question(0).1)["cached"], true);
    }
}

fn connect(worlds: &[World; 2]) -> [Client; 2] {
    worlds.each_ref().map(|world| list_tools(Client::start(world, Streams::Sockets)))
}

fn world(shared: bool) -> World {
    let world = world_of(1);
    let yaml = fs::read_to_string(world.config_file()).expect("the config");
    world.config(&format!("{yaml}  cache: {{shared: {shared}, max_size: 1000000, ttl: 3600}}\n"));
    world
}

/// Answers of some hundred bytes, in the file as the program makes it.
fn fill_with_answers(world: &World) {
    let mut database = Connection::open(store(world)).expect("the store");
    database.pragma_update(None, "synchronous", "OFF").expect("a setting");
    let bounds = Bounds { most: u32::MAX, ttl: Duration::from_hours(1), bytes: BYTES };
    let json = json!({"agent": "agent-0", "success": true, "result": "x".repeat(200)}).to_string();
    for number in 0..ANSWERS {
        let mut key = [7; 32];
        // As evenly spread as digests.
        key[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        let position = answers::look(&database, &key).expect("a look").position;
        let agent = "agent-0".to_owned();
        let asked_ms = now_ms();
        let new = New { key, agent, asked_ms, position, clean: true, json: json.clone() };
        answers::write(&mut database, &new, bounds).expect("it is written");
    }
    let count = answers::count(&database, Duration::from_hours(1)).expect("a count");
    assert!(count >= ANSWERS as usize, "{count}");
}
