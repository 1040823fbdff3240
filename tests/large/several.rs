//! Answers that hold several replies have the limit in all.

use serde_json::{Value, json};

use super::{LIMIT, answer, fetch_all, lines, says_lines, text};
use crate::support::World;
use crate::support::mcp::Client;

/// A world whose agents say so many lines each, by name.
fn world_of(agents: &[(&str, usize)]) -> World {
    let world = World::new();
    for (agent, count) in agents {
        world.agent(agent, &format!("record\n{}", says_lines(*count)));
    }
    let names: Vec<&str> = agents.iter().map(|(agent, _)| *agent).collect();
    world.config(&world.agents_yaml(&names));
    world
}

fn dispatches(agents: &[(&str, usize)]) -> Vec<Value> {
    agents.iter().map(|(agent, _)| json!({"agent": agent, "task": "look"})).collect()
}

/// Is this reply as long as it should be, and if it was cut, is all of it there to be fetched?
#[track_caller]
fn assert_there(client: &mut Client, reply: &Value, key: &str, whole: &str) -> bool {
    let is_cut = reply.get("truncated").is_some();
    if is_cut {
        assert_eq!(reply["size"], whole.len());
        assert!(text(reply, key).len() < whole.len());
        assert_eq!(fetch_all(client, text(reply, "ref"), 0), whole);
    } else {
        assert_eq!(text(reply, key), whole);
    }
    is_cut
}

#[test]
fn the_largest_are_cut_until_all_fit() {
    // A line has 21 bytes.
    let agents = [("a", 500), ("b", 4000), ("c", 10), ("d", 800)];
    let world = world_of(&agents);
    let mut client = Client::connect(&world);
    let call = json!({"dispatches": dispatches(&agents)});
    let (replies, length) = answer(&mut client, "dispatch_parallel", call);
    assert!(length <= LIMIT, "{length}");
    let replies = replies.as_array().expect("a list");
    let cut = replies.iter().zip(agents).map(|(reply, (agent, count))| {
        assert_eq!(reply["agent"], agent);
        assert_there(&mut client, reply, "result", &lines(count))
    });
    assert_eq!(cut.collect::<Vec<_>>(), [false, true, false, false]);
}

#[test]
fn many_that_are_not_long_fit_together_too() {
    let agents = [("a", 300), ("b", 4000)];
    let world = world_of(&agents);
    let mut client = Client::connect(&world);
    let item = |number: usize| json!({"agent": if number == 7 { "b" } else { "a" }, "task": format!("look {number}")});
    let call = json!({"dispatches": (0..24).map(item).collect::<Vec<_>>()});
    let (replies, length) = answer(&mut client, "dispatch_parallel", call);
    assert!(length <= LIMIT, "{length}");
    for (number, reply) in replies.as_array().expect("a list").iter().enumerate() {
        let count = if number == 7 { 4000 } else { 300 };
        assert_there(&mut client, reply, "result", &lines(count));
    }
}

#[test]
fn each_item_says_whether_it_is_wanted_by_reference() {
    let agents = [("a", 100), ("b", 100), ("c", 4000), ("gone", 1)];
    let world = world_of(&agents);
    std::fs::remove_dir_all(world.path("gone")).expect("its directory");
    let mut items = dispatches(&agents);
    items[1]["return_ref"] = json!(true);
    items[2]["return_ref"] = json!("true");
    items[2]["summary_chars"] = json!(5);
    items[3]["return_ref"] = json!(true);
    let mut client = Client::connect(&world);
    let replies = client.tool("dispatch_parallel", json!({"dispatches": items}));
    assert_eq!((text(&replies[0], "result"), replies[0].get("ref")), (&*lines(100), None));
    assert_eq!((text(&replies[2], "summary"), &replies[2]["summary_chars"]), ("größe", &json!(5)));
    assert_eq!((&replies[3]["error_type"], replies[3].get("ref")), (&json!("not_found"), None));
    for (place, count) in [(1, 100), (2, 4000)] {
        assert_eq!(replies[place].get("result"), None);
        assert_eq!(fetch_all(&mut client, text(&replies[place], "ref"), 0), lines(count));
    }
    items[0]["summary_chars"] = json!("many");
    let wrong = client.call("dispatch_parallel", json!({"dispatches": items}));
    assert_eq!(wrong["isError"], true);
    assert!(wrong.to_string().contains("dispatches[0].summary_chars"), "{wrong}");
}

#[test]
fn one_answer_of_several_is_cut_and_kept_and_its_policy_saw_all() {
    let agents = [("a", 2000), ("b", 2500)];
    let world = world_of(&agents);
    let mut client = Client::connect(&world);
    let call = json!({"dispatches": dispatches(&agents), "aggregate_policy": "concatenate"});
    let (reply, length) = answer(&mut client, "dispatch_parallel", call);
    assert!(length <= LIMIT, "{length}");
    let individual = reply["individual_results"].as_array().expect("a list");
    for (one, (_, count)) in individual.iter().zip(agents) {
        assert_there(&mut client, one, "result", &lines(count));
    }
    let aggregated = &reply["aggregated"];
    assert_eq!((&aggregated["success"], &aggregated["truncated"]), (&json!(true), &json!(true)));
    let whole = fetch_all(&mut client, text(aggregated, "ref"), 0);
    assert_eq!(aggregated["size"], whole.len());
    for (_, count) in agents {
        assert!(whole.contains(lines(count).trim_end()), "all of it is in there");
    }
}

#[test]
fn an_agent_that_puts_answers_together_reads_all_of_them() {
    let agents = [("a", 2000), ("b", 2500), ("judge", 3000)];
    let world = world_of(&agents);
    let mut client = Client::connect(&world);
    let mut call = json!({"dispatches": dispatches(&agents[..2]), "aggregate": "judge"});
    call["dispatches"][0]["return_ref"] = json!(true);
    let (reply, length) = answer(&mut client, "dispatch_parallel", call);
    assert!(length <= LIMIT, "{length}");
    let prompt = world.recorded("judge", "prompt");
    for (_, count) in &agents[..2] {
        assert!(prompt.contains(lines(*count).trim_end()), "it read all of it");
    }
    let aggregated = &reply["aggregated"];
    assert!(assert_there(&mut client, aggregated, "result", &lines(3000)));
    let step = &aggregated["steps"][0];
    assert!(assert_there(&mut client, step, "result", &lines(3000)));
    assert_eq!(step["ref"], aggregated["ref"], "it is one reply");
    let by_reference = &reply["individual_results"][0];
    assert_eq!(fetch_all(&mut client, text(by_reference, "ref"), 0), lines(2000));
}

#[test]
fn a_dialogue_is_cut_and_its_agents_read_all() {
    let world = World::new();
    let long = |count: usize, end: &str| {
        let text = "größe “1” 🦘\\n".repeat(count);
        format!("record\nanswer {text}{end}")
    };
    world.agent_with_turns("infra", &[&long(3000, "?"), &long(2500, r"\n\n[RESOLVED]")]);
    world.agent_with_turns("web", &[&long(2000, ".")]);
    world.config(&world.agents_yaml(&["web", "infra"]));
    let mut client = Client::connect(&world);
    let call = json!({"requester": "web", "responder": "infra", "topic": "Why?"});
    let (reply, length) = answer(&mut client, "dispatch_dialogue", call);
    assert!(length <= LIMIT, "{length}");
    assert_eq!(reply["resolved"], true, "{reply}");
    let said = [lines(3000) + "?", lines(2000) + ".", lines(2500) + "\n\n[RESOLVED]"];
    let turns = reply["conversation"].as_array().expect("a list");
    for (turn, whole) in turns.iter().zip(&said) {
        assert!(assert_there(&mut client, turn, "message", whole));
    }
    assert!(assert_there(&mut client, &reply, "final_answer", lines(2500).trim()));
    assert!(world.recorded("web", "prompt-1").contains(&said[0]), "it read all of it");
    assert!(world.recorded("infra", "prompt-2").contains(&said[1]), "it read all of it");
}
