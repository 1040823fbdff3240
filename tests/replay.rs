//! What policies decided is kept where the config wants that, and another policy is asked
//! again what it would have decided.

use std::fs;

use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::{Ran, World};

fn built(name: &str) -> String {
    format!("{}/plugins/built/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}

fn world(record: bool) -> World {
    let world = World::with_agent(
        r"count ../runs\nrecord\nanswer fine [RESOLVED]".replace(r"\n", "\n").as_str(),
    );
    world.config(&format!("{}  record_policies: {record}\n", world.agents_yaml(&["infra"])));
    world
}

#[track_caller]
fn replay(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run(&[&["policy", "replay"], arguments, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

#[track_caller]
fn numbers(replay: &Value) -> [u64; 4] {
    ["replayed", "same", "different", "failed"]
        .map(|key| replay[key].as_u64().unwrap_or_else(|| panic!("{replay}")))
}

fn dispatch(world: &World, task: &str) {
    let ran = world.run(&["dispatch", "infra", task, "--context", "a log", "--fresh"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[track_caller]
fn error(ran: &Ran) -> String {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    ran.json()["error"].as_str().expect("an error").to_owned()
}

#[test]
fn a_team_sees_what_another_prompt_would_have_changed() {
    let world = world(true);
    for task in ["one", "two"] {
        dispatch(&world, task);
    }
    let runs = world.runs();
    assert_eq!(runs, 2);
    // A render and an interpretation of each.
    assert_eq!(numbers(&replay(&world, &["classic"])), [4, 4, 0, 0]);
    let other = replay(&world, &["xml"]);
    assert_eq!(numbers(&other), [4, 2, 2, 0], "{other}");
    assert_eq!(other["by_function"][0]["function"], "prompt render", "{other}");
    let first = &other["differences"][0];
    assert_eq!((&first["policy"], &first["agents"]), (&json!("classic"), &json!(["infra"])));
    let diff = first["diff"].as_str().expect("a diff");
    assert!(diff.starts_with("--- classic\n+++ xml\n"), "{diff}");
    assert!(diff.lines().any(|line| line.starts_with('+') && line.contains("<task>")), "{diff}");
    assert!(diff.lines().any(|line| line.starts_with('-') && line.contains("Task:")), "{diff}");
    // A file, the latest only, and the other way round.
    assert_eq!(numbers(&replay(&world, &[&built("xml"), "--last", "2"])), [2, 1, 1, 0]);
    assert_eq!(numbers(&replay(&world, &["xml", "--against", "xml"])), [4, 4, 0, 0]);
    assert_eq!(numbers(&replay(&world, &["classic", "--agent", "infra"])), [4, 4, 0, 0]);
    // One that cannot be used has failed each time.
    let failed = replay(&world, &["classic", "--config", r#"{"colour": "red"}"#]);
    assert_eq!(numbers(&failed), [4, 0, 0, 4]);
    assert!(
        failed["differences"][0]["diff"]
            .as_str()
            .is_some_and(|diff| diff.contains("+error: its config"))
    );
    assert_eq!(world.runs(), runs, "nothing may have run");

    // For people, and for a machine that decides.
    let shown = world.run(&["policy", "replay", "xml"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("replayed 4: same 2, different 2, failed 0"), "{shown:?}");
    assert_eq!(world.run(&["policy", "replay", "xml", "--check"]).code, Some(1));
    assert_eq!(world.run(&["policy", "replay", "classic", "--check"]).code, Some(0));
    for (arguments, part) in [
        (vec!["synthesize"], "no decisions of policies of this kind"),
        (vec!["classic", "--agent", "nobody"], "no decisions of policies of this kind"),
        (vec!["nowhere.wasm"], "is no policy of the config, and no component"),
        (vec!["classic", "--against", "nobody"], "there is no prompt policy 'nobody'"),
        (vec!["xml", "--against", "majority"], "of different kinds"),
    ] {
        let ran = world.run(&[&["policy", "replay"], &arguments[..], &["--json"]].concat());
        assert!(error(&ran).contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn aggregates_and_dialogues_are_replayed_too() {
    let world = world(true);
    let mut client = Client::connect(&world);
    let item = json!({"agent": "infra", "task": "look"});
    let call = json!({"dispatches": [item, item], "aggregate_policy": "concatenate"});
    assert_eq!(client.tool("dispatch_parallel", call)["aggregated"]["success"], true);
    let call = json!({"requester": "infra", "responder": "infra", "topic": "Why?"});
    assert_eq!(client.tool("dispatch_dialogue", call)["resolved"], true);
    assert_eq!(client.close().code(), Some(0));
    let same = replay(&world, &["concatenate"]);
    let [replayed, same, ..] = numbers(&same);
    assert!(replayed >= 2 && same == replayed, "{same}");
    let other = replay(&world, &["first-success"]);
    assert!(numbers(&other)[2] >= 1, "{other}");
    assert_eq!(other["differences"][0]["function"], "aggregate step");
    // Written with the names of `wit/`, in snake case.
    let diff = other["differences"].to_string();
    assert!(diff.contains("answer:") && !diff.contains("Answer:"), "{diff}");
    assert_eq!(numbers(&replay(&world, &["resolved"])), [2, 2, 0, 0]);
    assert_eq!(numbers(&replay(&world, &["no-progress"])), [2, 2, 0, 0]);
    let failed = replay(&world, &["budget"]);
    assert_eq!(numbers(&failed), [2, 0, 0, 2], "{failed}");
}

#[test]
fn nothing_is_kept_unless_it_is_wanted_and_what_was_kept_is_forgotten() {
    let holds = |world: &World| {
        let folder = world.path("home/.local/state/agent-dispatch");
        let files = ["store.sqlite", "store.sqlite-wal"].map(|name| fs::read(folder.join(name)));
        files.into_iter().flatten().any(|bytes| memchr::memmem::find(&bytes, b"SECRET").is_some())
    };
    let world = world(false);
    dispatch(&world, "SECRET");
    assert!(!holds(&world));
    let ran = world.run(&["policy", "replay", "classic", "--json"]);
    assert!(error(&ran).contains("no decisions"), "{ran:?}");
    assert!(
        ran.json()["hint"].as_str().is_some_and(|hint| hint.contains("settings.record_policies"))
    );

    world.config(&format!("{}  record_policies: true\n", world.agents_yaml(&["infra"])));
    dispatch(&world, "SECRET");
    assert!(holds(&world));
    // A dry run is no dispatch.
    world.run(&["dispatch", "infra", "SECRET", "--dry-run"]);
    assert_eq!(numbers(&replay(&world, &["classic"]))[0], 2);
    assert_eq!(world.run(&["policy", "forget", "--json"]).json()["forgotten"], 2);
    assert!(!holds(&world), "it is still in the file");
    assert_eq!(world.run(&["policy", "forget", "--json"]).json()["forgotten"], 0);
}

#[test]
fn what_is_too_long_is_not_kept_and_counted() {
    let world = world(true);
    let mut client = Client::connect(&world);
    let long = "x".repeat(1 << 20);
    let task = json!({"agent": "infra", "task": "look", "context": long});
    assert_eq!(client.tool("dispatch", task)["success"], true);
    assert_eq!(client.close().code(), Some(0));
    dispatch(&world, "look");
    let replayed = replay(&world, &["classic"]);
    assert_eq!((numbers(&replayed), &replayed["not_recorded"]), ([2, 2, 0, 0], &json!(2)));
}
