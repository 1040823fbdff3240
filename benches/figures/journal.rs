//! What the journal costs, with a hundred thousand dispatches in it. Floors are the same
//! without a journal: a folder lies where its file would.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use agent_dispatch::store::Owner;
use agent_dispatch::store::journal::{End, Record, now_ms};
use rusqlite::Connection;
use serde_json::json;

use crate::print::{row, time};
use crate::support::World;
use crate::support::mcp::{Client, Streams};
use crate::{CALLS, DISPATCHES, LISTS, in_turns, list_tools, world_of};

const RECORDS: u32 = 100_000;
const AGENTS: usize = 1000;
const READS: usize = 21;

pub(crate) fn journal() {
    let (world, bare) = (world_of(AGENTS), world_of(AGENTS));
    fs::create_dir_all(store(&bare)).expect("a folder in its place");
    fill(&world);
    for command in [&["stats", "--json"][..], &["stats"], &["tree"], &["tree", "0000a000"]] {
        let run = |arguments: &[&str]| time(|| output(world.command().args(arguments)));
        let measured = (0..READS).map(|_| run(command)).collect();
        let floor = (0..READS).map(|_| run(&["--version"])).collect();
        row(&format!("{} with {RECORDS} records, ms", command.join(" ")), measured, Some(floor));
    }
    let mut clients =
        [&world, &bare].map(|world| list_tools(Client::start(world, Streams::Sockets)));
    // The first is the one that has the store opened.
    let first = clients.each_mut().map(|client| time(|| client.call("list_agents", json!({}))));
    row("first list_agents with 1000 agents, ms", vec![first[0]], Some(vec![first[1]]));
    in_turns(&with("list_agents with 1000 agents, ms"), &mut clients, LISTS, |_| {
        ("list_agents", json!({}))
    });
    // Within two seconds of its last change a file has to be read to know it.
    std::thread::sleep(Duration::from_secs(3));
    in_turns(&with("uncached dispatch, ms"), &mut clients, DISPATCHES, |number| {
        ("dispatch", json!({"agent": "agent-0", "task": format!("task {number}")}))
    });
    let question = || ("dispatch", json!({"agent": "agent-0", "task": "task 0"}));
    in_turns(&with("cached dispatch, ms"), &mut clients, CALLS, |_| question());
}

fn with(name: &str) -> String {
    format!("{name}, journal of {RECORDS}")
}

pub(crate) fn store(world: &World) -> PathBuf {
    world.path("home/.local/state/agent-dispatch/store.sqlite")
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Records of all agents over the last year, the file as the program makes it.
pub(crate) fn fill(world: &World) {
    output(world.command().args(["dispatch", "agent-0", "x"]));
    let mut database = Connection::open(store(world)).expect("the store");
    let all = database.transaction().expect("a transaction");
    let step = 365 * 24 * 3_600_000 / i64::from(RECORDS);
    let begin = now_ms() - step * i64::from(RECORDS);
    for number in 0..RECORDS {
        let at = begin + step * i64::from(number);
        let failed = number % 17 == 0;
        let record = Record {
            id: format!("{number:08x}{}", "7".repeat(24)),
            trace: format!("{:032x}", number / 2 + 1),
            parent: (number % 2 == 1).then(|| format!("{:08x}{}", number - 1, "7".repeat(8))),
            agent: format!("agent-{}", number as usize % AGENTS),
            caller: Some("backend".to_owned()),
            form: "dispatch".to_owned(),
            depth: number % 2,
            policy: Some("classic".to_owned()),
            policy_digest: Some("0123456789ab".to_owned()),
            owner: Owner { pid: 1, started: 1 },
            started_ms: at,
            cached: number % 5 == 0,
            shared: false,
            end: Some(End {
                at_ms: at + 60_000,
                success: !failed,
                duration_ms: Some(u64::from(number * 7919 % 600_000)),
                cost_usd: Some(f64::from(number % 100) / 100.0),
                turns: Some(7),
                tokens: None,
                outcome: Some("done".to_owned()),
                error_type: failed.then(|| "timeout".to_owned()),
                session_id: Some("aaaaaaaa-0000-4000-8000-000000000000".to_owned()),
            }),
        };
        record.write(&all).expect("a record");
    }
    all.commit().expect("they are written");
}
