//! Every dispatch leaves a record, whichever process it came through and however it ended.

mod broken;
mod figures;
mod shared;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::{BINARY, World, until};

/// The file of the journal.
fn store(world: &World) -> PathBuf {
    state(world).join("store.sqlite")
}

fn state(world: &World) -> PathBuf {
    world.path("home/.local/state/agent-dispatch")
}

/// The dispatches that came from no other, oldest first, with those below them.
#[track_caller]
fn roots(world: &World) -> Vec<Value> {
    let shown = world.run(&["tree", "--json", "--limit", "1000"]).json();
    let mut roots = shown.as_array().unwrap_or_else(|| panic!("{shown}")).clone();
    roots.reverse();
    roots
}

/// The same once there are so many and all are over.
#[track_caller]
fn all_over(world: &World, count: usize) -> Vec<Value> {
    let mut seen = Vec::new();
    until(
        || {
            seen = roots(world);
            seen.len() == count && seen.iter().all(|record| record.get("success").is_some())
        },
        || format!("not {count} that are over"),
    );
    seen
}

/// The values at this key.
fn all(records: &[Value], key: &str) -> Vec<Value> {
    records.iter().map(|record| record[key].clone()).collect()
}

fn ask(client: &mut Client, task: &str) -> Value {
    client.tool("dispatch", json!({"agent": "infra", "task": task}))
}

#[test]
fn no_state_appears_before_the_first_dispatch() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    client.request("tools/list", json!({}));
    client.tool("list_agents", json!({}));
    client.tool("dispatch", json!({"agent": "nobody", "task": "x"}));
    for command in [["stats", "--json"], ["tree", "--json"], ["list", "--json"]] {
        assert_eq!(world.run(&command).code, Some(0));
    }
    assert!(!state(&world).exists());
    ask(&mut client, "look");
    assert!(store(&world).exists());
}

#[test]
fn a_record_says_what_a_dispatch_was_and_came_to() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    let question =
        json!({"agent": "infra", "task": "SECRET", "context": "SECRET", "caller": "backend"});
    let reply = client.tool("dispatch", question);
    let record = all_over(&world, 1).remove(0);
    let expected = json!({
        "agent": "infra", "caller": "backend", "form": "dispatch", "depth": 0, "state": "done",
        "success": true, "duration_ms": 1234, "cost_usd": 0.25, "num_turns": 2,
        "session_id": reply["session_id"], "policy": "classic", "cached": false,
        "shared": false, "children": [],
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&record[key], value, "{key}: {record}");
    }
    let hex = |key: &str| {
        let text = record[key].as_str().unwrap_or_else(|| panic!("no {key}: {record}"));
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}: {text}");
        text.len()
    };
    assert_eq!((hex("id"), hex("trace"), hex("policy_digest")), (32, 32, 12));
    assert!(record["started_ms"].as_u64() <= record["ended_ms"].as_u64(), "{record}");
    let file = fs::read(store(&world)).expect("the store");
    let log = fs::read(store(&world).with_extension("sqlite-wal")).expect("its log");
    let secret = |bytes: &[u8]| memchr::memmem::find(bytes, b"SECRET").is_some();
    assert!(!secret(&file) && !secret(&log), "the task and its context are nobody's business");
}

#[test]
fn every_form_leaves_its_records_and_one_call_is_one_trace() {
    let world = World::new();
    for agent in ["infra", "web"] {
        world.agent(agent, r"answer fine\n\n[RESOLVED]");
    }
    world.config(&world.agents_yaml(&["infra", "web"]));
    let mut client = Client::connect(&world);
    let one = json!({"agent": "infra", "task": "one"});
    client.tool("dispatch", one.clone());
    client.tool("dispatch", one);
    client.tool("dispatch_session", json!({"agent": "infra", "task": "two"}));
    client.tool("dispatch_stream", json!({"agent": "infra", "task": "three"}));
    let two = json!([{"agent": "infra", "task": "four"}, {"agent": "web", "task": "four"}]);
    client.tool("dispatch_parallel", json!({"dispatches": two, "aggregate": "web"}));
    let talk = json!({"requester": "web", "responder": "infra", "topic": "five"});
    client.tool("dispatch_dialogue", talk);
    assert_eq!(world.run(&["dispatch", "infra", "six"]).code, Some(0));
    let records = all_over(&world, 9);
    let forms = [
        "dispatch",
        "dispatch",
        "session",
        "stream",
        "parallel",
        "parallel",
        "aggregate",
        "dialogue",
        "cli",
    ];
    assert_eq!(all(&records, "form"), forms);
    // Nothing was run or spent for an answer that was at hand.
    assert_eq!(all(&records, "cached")[..2], [false, true]);
    assert!(records[1].get("cost_usd").is_none() && records[1].get("duration_ms").is_none());
    let traces = all(&records, "trace");
    assert_eq!((&traces[4], &traces[5]), (&traces[5], &traces[6]), "{traces:?}");
    let different: std::collections::BTreeSet<_> = traces.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), 7, "{traces:?}");
    let shown = world.run(&["tree", traces[4].as_str().expect("a trace"), "--json"]).json();
    assert_eq!(shown.as_array().map(Vec::len), Some(3), "{shown}");
}

#[test]
fn who_waits_for_the_same_run_has_a_record_without_its_cost() {
    let world = World::with_agent("touch ../began\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    let question = json!({"agent": "infra", "task": "look"});
    client.begin("first", "dispatch", question.clone());
    world.wait_for("began");
    client.begin("second", "dispatch", question);
    until(|| roots(&world).len() == 2, || "not two records".to_owned());
    assert_eq!(all(&roots(&world), "state"), ["running", "running"]);
    fs::write(world.path("go"), "").expect("a file");
    client.finish(2);
    let mut records = all_over(&world, 2);
    // Who came second may be written down first.
    records.sort_by_key(|record| record["shared"] == true);
    assert_eq!(all(&records, "shared"), [false, true]);
    assert_eq!(all(&records, "cost_usd"), [json!(0.25), Value::Null]);
}

#[test]
fn failures_before_the_start_have_records_that_cost_nothing() {
    let world = World::with_agent("answer hello");
    let mut command = world.command();
    command.args(["dispatch", "infra", "x"]).env("AGENT_DISPATCH_DEPTH", "3");
    assert_eq!(command.output().expect("the binary runs").status.code(), Some(1));
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&yaml.replace("  command:", "  command: [no-such-program]\n  x:"));
    assert_eq!(world.run(&["dispatch", "infra", "x"]).code, Some(1));
    let records = all_over(&world, 2);
    assert_eq!(all(&records, "error_type"), ["recursion", "not_found"]);
    assert_eq!(all(&records, "depth"), [3, 0]);
    assert!(records.iter().all(|record| record.get("cost_usd").is_none()), "{records:?}");
}

#[test]
fn a_run_that_was_ended_records_what_the_stream_told_of_it() {
    let message = json!({"type": "assistant", "message": {"id": "m", "content": [],
        "usage": {"input_tokens": 7, "output_tokens": 1}}});
    let result = json!({"type": "result", "subtype": "success", "is_error": false, "num_turns": 1,
        "result": "so far", "session_id": "s", "usage": {"input_tokens": 100, "output_tokens": 20,
        "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4},
        "model_usage_since_last_result": {"m": {"costUSD": 0.5}}});
    let world = World::with_agent(&format!("out {result}\nout {message}\ntouch ../said\nhang"));
    let mut client = Client::connect(&world);
    client.begin("given up", "dispatch", json!({"agent": "infra", "task": "look"}));
    world.wait_for("said");
    client.cancel("given up");
    let record = all_over(&world, 1).remove(0);
    let tokens = json!({"input": 107, "output": 21, "cache_read": 3, "cache_creation": 4});
    assert_eq!((&record["cost_usd"], &record["tokens"]), (&json!(0.5), &tokens), "{record}");

    world.agent("infra", &format!("out {message}\nhang"));
    world.config(&format!("{}  default_timeout: 1\n", world.agents_yaml(&["infra"])));
    ask(&mut client, "again");
    let record = all_over(&world, 2).remove(1);
    assert_eq!((&record["error_type"], &record["state"]), (&json!("timeout"), &json!("timeout")));
    assert_eq!(record["tokens"]["input"], 7, "{record}");
    assert!(record["duration_ms"].as_u64() >= Some(1000), "{record}");
}

#[test]
fn a_dispatch_from_within_a_dispatch_knows_its_parent() {
    let world = World::new();
    let nested =
        |agent: &str| format!("record\nrun {BINARY} dispatch {agent} x --caller outer\nanswer ok");
    world.agent("outer", &nested("middle"));
    world.agent("middle", &nested("inner"));
    world.agent("inner", "record\nanswer ok");
    world.config(&world.agents_yaml(&["outer", "middle", "inner"]));
    let mut client = Client::connect(&world);
    client.tool("dispatch", json!({"agent": "outer", "task": "x"}));
    let outer = all_over(&world, 1).remove(0);
    let middle = &outer["children"][0];
    let inner = &middle["children"][0];
    let chain = [&outer, middle, inner];
    assert_eq!(chain.map(|record| record["agent"].clone()), ["outer", "middle", "inner"]);
    assert_eq!(chain.map(|record| record["depth"].clone()), [0, 1, 2]);
    assert_eq!(chain.map(|record| record["form"].clone()), ["dispatch", "cli", "cli"]);
    for record in chain {
        assert_eq!(record["trace"], outer["trace"]);
        let (trace, id) = (record["trace"].as_str().expect("a trace"), record["id"].as_str());
        let span = &id.expect("an id")[..16];
        let told = format!("AGENT_DISPATCH_TRACEPARENT=00-{trace}-{span}-01");
        let agent = record["agent"].as_str().expect("an agent");
        let environment = world.recorded(agent, "environment");
        assert!(environment.lines().any(|line| line == told), "{agent}: {told}");
    }
    assert_eq!(middle["parent"], outer["id"].as_str().expect("an id")[..16]);

    // For people: the same, indented. An id's beginning names it.
    let shown = world.run(&["tree"]).stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3, "{shown}");
    for (line, start) in
        lines.iter().zip(["outer  done  1.2 s  $0.2500", "└─ middle", "   └─ inner"])
    {
        assert!(line.starts_with(start), "{shown}");
    }
    let id = &middle["id"].as_str().expect("an id")[..8];
    let shown = world.run(&["tree", id]).stdout;
    assert!(shown.starts_with("middle") && shown.lines().count() == 2, "{shown}");
}

#[test]
fn a_parent_from_elsewhere_is_kept_and_a_malformed_one_ignored() {
    let world = World::with_agent("answer hello");
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for traceparent in [good, "00-4bf92f-1-01", "; DROP TABLE dispatch"] {
        let mut command = world.command();
        command.args(["dispatch", "infra", "x"]).env("AGENT_DISPATCH_TRACEPARENT", traceparent);
        assert!(command.output().expect("the binary runs").status.success());
    }
    let records = all_over(&world, 3);
    assert_eq!(records[0]["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(records[0]["parent"], "00f067aa0ba902b7");
    assert!(records[1..].iter().all(|record| record.get("parent").is_none()), "{records:?}");
}

#[test]
fn what_does_not_exist_is_refused() {
    let world = World::with_agent("answer hello");
    assert_eq!(world.run(&["dispatch", "infra", "x"]).code, Some(0));
    let ran = world.run(&["tree", "0000000000"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.stderr.contains("no dispatch has the id") && ran.stderr.contains("agent-dispatch tree")
    );
    let refused = world.run(&["tree", "zzzz", "--json"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.json()["error"].is_string(), "{refused:?}");
}
