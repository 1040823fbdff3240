//! What the records add up to: for people, for programs, for whoever chooses an agent.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{all_over, ask, store};
use crate::support::World;
use crate::support::mcp::Client;

#[test]
fn stats_add_up_what_was_asked() {
    let world = World::new();
    world.agent("infra", "answer hello");
    world.agent("web", "err out of disk\nexit 3");
    world.config(&world.agents_yaml(&["infra", "web"]));
    let mut client = Client::connect(&world);
    for task in ["one", "two", "two"] {
        ask(&mut client, task);
    }
    client.tool("dispatch", json!({"agent": "web", "task": "x"}));
    all_over(&world, 4);
    let stats = |arguments: &[&str]| world.run(&[&["stats", "--json"], arguments].concat()).json();
    let infra = json!({
        "dispatches": 3, "cached_hits": 1, "ok": 2, "failed": 0, "cost_usd": 0.5,
        "median_ms": 1234, "p90_ms": 1234, "max_ms": 1234, "median_cost_usd": 0.25,
        "max_cost_usd": 0.25,
    });
    let all = stats(&[]);
    assert_eq!(all["agents"]["infra"], infra);
    assert_eq!(all["agents"]["web"]["errors"], json!({"cli_error": 1}), "{all}");
    assert_eq!((&all["total"]["dispatches"], &all["total"]["failed"]), (&json!(4), &json!(1)));
    let names: Vec<&String> = all["agents"].as_object().expect("agents").keys().collect();
    assert_eq!(names, ["infra", "web"], "who cost most comes first");
    let one = stats(&["--agent", "infra", "--days", "1"]);
    assert_eq!((&one["total"], &one["agents"]), (&infra, &json!({"infra": infra})));
    assert_eq!(stats(&["--agent", "nobody"])["total"]["dispatches"], 0);

    let shown = world.run(&["stats"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
    let words: Vec<Vec<&str>> =
        shown.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words[1],
        ["infra", "3", "1", "2", "0", "$0.5000", "1.2", "s", "1.2", "s", "1.2", "s"]
    );
    assert_eq!(words[2][..5], ["web", "1", "0", "0", "1"]);
    assert_eq!(words[3], ["errors:", "cli_error", "1"]);
    assert_eq!(words[4][..5], ["total", "4", "1", "2", "1"]);
}

#[test]
fn nothing_yet_is_said_and_no_error() {
    let world = World::with_agent("answer hello");
    for command in ["stats", "tree"] {
        let ran = world.run(&[command]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.stderr.contains("in the journal"), "{ran:?}");
    }
    let stats = world.run(&["stats", "--json"]).json();
    assert_eq!((&stats["total"]["dispatches"], &stats["agents"]), (&json!(0), &json!({})));
    assert_eq!(world.run(&["tree", "--json"]).json(), json!([]));
}

fn typical(client: &mut Client) -> Value {
    client.tool("list_agents", json!({}))[0]["typical"].clone()
}

#[test]
fn an_agent_that_was_asked_three_times_says_what_is_typical_of_it() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    for (task, count) in [("one", 1), ("two", 2), ("two", 3)] {
        ask(&mut client, task);
        all_over(&world, count);
        assert_eq!(typical(&mut client), Value::Null, "{task}");
    }
    ask(&mut client, "three");
    all_over(&world, 4);
    let expected = json!({"median_seconds": 1.2, "p90_seconds": 1.2, "median_cost_usd": 0.25});
    assert_eq!(typical(&mut client), expected);
    // Another process knows it too.
    assert_eq!(world.run(&["list", "--json"]).json()[0]["typical"], expected);
}

#[test]
fn a_timeout_names_one_that_would_have_been_enough() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    for task in ["one", "two", "three"] {
        ask(&mut client, task);
    }
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!("{yaml}  default_timeout: 1\n"));
    world.agent("infra", "hang");
    let mut hint = |count, milliseconds: i64| {
        all_over(&world, count);
        let database = Connection::open(store(&world)).expect("the store");
        let took = "UPDATE dispatch SET duration_ms = ?1";
        database.execute(took, [milliseconds]).expect("they took so long");
        let reply = ask(&mut client, "slow");
        assert_eq!(reply["error_type"], "timeout", "{reply}");
        reply["hint"].as_str().expect("a hint").to_owned()
    };
    let slow = hint(3, 70_000);
    assert!(slow.contains("within 70 s: timeout_seconds = 120"), "{slow}");
    assert!(slow.starts_with("Give it more time"), "{slow}");
    let fast = hint(4, 100);
    assert!(fast.contains("within 1 s: timeout_seconds = 30"), "{fast}");
}
