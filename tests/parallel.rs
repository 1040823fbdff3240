//! Several dispatches at once.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::{Client, Streams};

/// A world with these agents, each of which counts its runs and then does this.
fn world_of(agents: &[(&str, &str)]) -> World {
    let world = World::new();
    for (agent, steps) in agents {
        world.agent(agent, &format!("count ../runs\n{steps}"));
    }
    world.config(&yaml_of(&world, agents));
    world
}

fn yaml_of(world: &World, agents: &[(&str, &str)]) -> String {
    world.agents_yaml(&agents.iter().map(|(agent, _)| *agent).collect::<Vec<_>>())
}

fn ask(agent: &str) -> Value {
    json!({"agent": agent, "task": "look"})
}

/// The value at this key of every reply.
fn all(replies: &Value, key: &str) -> Vec<Value> {
    replies.as_array().expect("a list").iter().map(|reply| reply[key].clone()).collect()
}

#[test]
fn a_list_and_its_text_are_the_same_and_replies_come_in_the_order_of_the_tasks() {
    // The first is done last.
    let agents = [("one", "wait ../done\nanswer 1"), ("other", "touch ../done\nanswer 2")];
    let world = world_of(&agents);
    let mut client = Client::connect(&world);
    let list = json!([ask("one"), ask("other")]);
    for (count, dispatches) in [list.clone(), list.to_string().into()].into_iter().enumerate() {
        client.tool("cache_clear", json!({}));
        let result = client.call("dispatch_parallel", json!({"dispatches": dispatches}));
        assert_eq!(result["isError"], false, "{result}");
        let replies = &result["structuredContent"]["result"];
        assert_eq!(all(replies, "agent"), ["one", "other"], "{replies}");
        assert_eq!(all(replies, "result"), ["1", "2"], "{replies}");
        assert!(all(replies, "session_id").iter().all(Value::is_string), "{replies}");
        assert_eq!(world.runs(), 2 * (count + 1));
        fs::remove_file(world.path("done")).expect("the file");
    }
}

#[test]
fn they_run_side_by_side_as_many_as_may_at_once() {
    let world = world_of(&[("infra", "meet 4 ../here\nanswer ok")]);
    world.config(&format!("{}  max_concurrency: 4\n", world.agents_yaml(&["infra"])));
    let mut client = Client::connect(&world);
    let dispatch = |number: u32| json!({"agent": "infra", "task": format!("task {number}")});
    let dispatches: Vec<Value> = (0..4).map(dispatch).collect();
    let replies = client.tool("dispatch_parallel", json!({"dispatches": dispatches}));
    assert_eq!(all(&replies, "result"), vec!["ok"; 4]);

    // With one place they take turns.
    world.agent("infra", "take ../turn\ngive-back ../turn\nanswer ok");
    world.config(&format!("{}  max_concurrency: 1\n", world.agents_yaml(&["infra"])));
    let dispatches: Vec<Value> = (4..8).map(dispatch).collect();
    let replies = client.tool("dispatch_parallel", json!({"dispatches": dispatches}));
    assert_eq!(all(&replies, "result"), vec!["ok"; 4]);
}

#[test]
fn each_has_all_that_a_dispatch_has() {
    let world = world_of(&[("infra", "record\nanswer ok")]);
    let mut client = Client::connect(&world);
    let full = json!({"agent": "infra", "task": "look", "context": "a log", "caller": "backend",
        "goal": "peace", "timeout_seconds": 60});
    let call = json!({"dispatches": [full]});
    client.tool("dispatch_parallel", call.clone());
    let prompt =
        "## Goal\npeace\n\n## Dispatched by\nbackend\n\n## Context\na log\n\n## Task\nlook";
    assert_eq!(world.recorded("infra", "prompt"), prompt);
    // So is an answer that was given before, as long as nobody wants another.
    let again = client.tool("dispatch_parallel", call);
    assert_eq!((&again[0]["cached"], world.runs()), (&json!(true), 1), "{again}");
    let mut fresh = full;
    fresh["fresh"] = json!(true);
    let fresh = client.tool("dispatch_parallel", json!({"dispatches": [fresh]}));
    assert_eq!((fresh[0].get("cached"), world.runs()), (None, 2), "{fresh}");
}

#[test]
fn a_call_has_a_hundred_or_twenty_times_as_many_as_run_at_once() {
    let world = world_of(&[("infra", "answer ok")]);
    let yaml = world.agents_yaml(&["infra"]);
    let mut client = Client::connect(&world);
    for (limit, most) in
        [("", 100), ("  max_concurrency: 5\n", 100), ("  max_concurrency: 6\n", 120)]
    {
        world.config(&format!("{yaml}{limit}"));
        client.tool("cache_clear", json!({}));
        let runs = world.runs();
        let too_many = vec![ask("infra"); most + 1];
        for dispatches in [json!(too_many), json!(too_many).to_string().into()] {
            let refused = client.tool("dispatch_parallel", json!({"dispatches": dispatches}));
            let error = refused["error"].as_str().expect("an error");
            let expected = format!("has {} items, and one call may have {most}", most + 1);
            assert!(error.contains(&expected), "{error}");
            assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("max_concurrency")));
        }
        assert_eq!(world.runs(), runs, "{limit}");
        // All of them ask the same: it is done once.
        let replies = client.tool("dispatch_parallel", json!({"dispatches": too_many[1..]}));
        assert_eq!(all(&replies, "result"), vec!["ok"; most]);
        assert_eq!(world.runs(), runs + 1, "{limit}");
    }
}

#[test]
fn one_item_that_cannot_be_used_keeps_all_from_being_run_and_is_named() {
    let world = world_of(&[("infra", "answer ok")]);
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&yaml.replace("settings:", "  broken: {directory: [no]}\nsettings:"));
    let mut client = Client::connect(&world);
    let with = |key: &str, value: Value| {
        let mut item = ask("infra");
        item[key] = value;
        item
    };
    let cases = [
        (json!({"agent": "infra"}), "'dispatches[1].task' is missing"),
        (json!({"task": "look"}), "'dispatches[1].agent' is missing"),
        (json!({}), "'dispatches[1].agent' is missing"),
        (json!("infra"), "'dispatches[1]' has to be an object"),
        (json!([]), "'dispatches[1]' has to be an object"),
        (json!(null), "'dispatches[1]' has to be an object"),
        (with("task", json!(" \n")), "'dispatches[1].task' is missing"),
        (with("task", json!(7)), "'dispatches[1].task' has to be a text, not a number"),
        (with("agent", json!("nobody")), "dispatches[1].agent: Unknown agent: 'nobody'"),
        (with("agent", json!("broken")), "dispatches[1].agent: "),
        (with("context", json!({})), "'dispatches[1].context' has to be a text"),
        (with("caller", json!([1])), "'dispatches[1].caller' has to be a text"),
        (with("goal", json!(true)), "'dispatches[1].goal' has to be a text"),
        (with("timeout_seconds", json!("soon")), "'dispatches[1].timeout_seconds' has to be"),
        (with("fresh", json!("maybe")), "'dispatches[1].fresh' has to be true or false"),
    ];
    for (item, part) in cases {
        let list = json!([ask("infra"), item, ask("infra")]);
        for dispatches in [list.clone(), list.to_string().into()] {
            let answer = client.tool("dispatch_parallel", json!({"dispatches": dispatches}));
            let error = answer["error"].as_str().unwrap_or_else(|| panic!("{list}: {answer}"));
            assert!(error.starts_with(part), "{list}: {error}");
        }
    }
    assert_eq!(world.runs(), 0);
}

#[test]
fn a_call_that_cannot_be_used_runs_nothing() {
    let world = world_of(&[("infra", "answer ok")]);
    let component = world.path("xml.wasm");
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/built/aggregate-concatenate.wasm");
    fs::copy(built, &component).expect("a component");
    let mut client = Client::connect(&world);
    let component = component.to_str().expect("UTF-8");
    let cases = [
        (json!({}), "'dispatches' has to be a list"),
        (json!({"dispatches": null}), "'dispatches' has to be a list"),
        (json!({"dispatches": []}), "dispatches is empty"),
        (json!({"dispatches": "[]"}), "dispatches is empty"),
        (json!({"dispatches": ""}), "'dispatches' is no JSON"),
        (json!({"dispatches": "[{'agent': 'infra'}]"}), "'dispatches' is no JSON"),
        (json!({"dispatches": "{}"}), "'dispatches' has to be a list"),
        (json!({"dispatches": ask("infra")}), "'dispatches' has to be a list"),
        (json!({"dispatches": 7}), "'dispatches' has to be a list"),
        (json!({"dispatches": [ask("infra")], "aggregate": 7}), "'aggregate' has to be a text"),
        (json!({"dispatches": [ask("infra")], "aggregate": "nobody"}), "aggregate: Unknown agent"),
        (json!({"aggregate_policy": []}), "'aggregate_policy' has to be a text"),
        (json!({"aggregate_policy": "no-such"}), "there is no aggregate policy 'no-such'"),
        // One that is built in, but of another kind.
        (json!({"aggregate_policy": "xml"}), "there is no aggregate policy 'xml'"),
        // Nothing but the config names a component.
        (json!({"aggregate_policy": component}), "there is no aggregate policy"),
        (json!({"aggregate_policy": "./xml.wasm"}), "there is no aggregate policy"),
        (
            json!({"aggregate_policy": format!("file://{component}")}),
            "there is no aggregate policy",
        ),
    ];
    for (mut arguments, part) in cases {
        if arguments.get("aggregate_policy").is_some() {
            arguments["dispatches"] = json!([ask("infra")]);
        }
        let answer = client.tool("dispatch_parallel", arguments.clone());
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{arguments}: {answer}"));
        assert!(error.starts_with(part), "{arguments}: {error}");
    }
    // A setting that bounds what agents may do and cannot be read.
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!("{yaml}  aggregate: {{max_asks: many}}\n"));
    let answer = client.tool("dispatch_parallel", json!({"dispatches": [ask("infra")]}));
    let error = answer["error"].as_str().expect("an error");
    assert!(error.starts_with("nothing is dispatched: ") && error.contains("max_asks"), "{error}");
    assert_eq!(world.runs(), 0);
}

#[test]
fn one_that_fails_fails_no_other() {
    let error = r#"out {"type":"result","subtype":"success","is_error":true,"result":"no luck"}"#;
    let agents = [
        ("good", "wait ../late\nanswer ok"),
        ("missing", ""),
        ("broken", "err out of disk\nexit 3"),
        ("dead", "signal KILL"),
        ("unlucky", error),
        ("slow", "hang"),
        ("last", "wait ../good/go\ntouch ../late\nanswer ok too"),
    ];
    let world = world_of(&agents);
    fs::remove_dir_all(world.path("missing")).expect("its directory");
    world.config(
        &format!("{}  max_concurrency: 7\n", yaml_of(&world, &agents))
            .replace("  last:", "    timeout: 1\n  last:"),
    );
    let mut client = Client::connect(&world);
    let dispatches: Vec<Value> = agents.iter().map(|(agent, _)| ask(agent)).collect();
    client.begin("all", "dispatch_parallel", json!({"dispatches": dispatches}));
    // The good ones go on when the others have failed, the slowest after a second.
    while !client.receive()["params"]["message"].as_str().is_some_and(|m| m.starts_with("5 of 7")) {
    }
    fs::write(world.path("good/go"), "").expect("a file");
    let replies = client.finish(1)["all"].clone();
    assert_eq!(all(&replies, "agent"), agents.map(|(agent, _)| agent), "{replies}");
    let error = |word: &str| json!(word);
    let expected = [
        Value::Null,
        error("not_found"),
        error("cli_error"),
        error("cli_error"),
        error("cli_error"),
        error("timeout"),
        Value::Null,
    ];
    assert_eq!(all(&replies, "error_type"), expected, "{replies}");
    let good = expected.map(|error| json!(error.is_null()));
    assert_eq!(all(&replies, "success"), good, "{replies}");
    assert_eq!((&replies[0]["result"], &replies[6]["result"]), (&json!("ok"), &json!("ok too")));
    assert!(replies[2]["error"].as_str().is_some_and(|error| error.contains("out of disk")));
}

#[test]
fn where_a_chain_of_dispatches_ends_each_is_told_so() {
    let world = world_of(&[("infra", "answer ok"), ("chief", "answer ok")]);
    let mut command = world.command();
    command.arg("serve").env("AGENT_DISPATCH_DEPTH", "3");
    let mut client = Client::spawn(&mut command, Streams::Sockets);
    client.initialize();
    let dispatches = json!([ask("infra"), ask("infra")]);
    let replies = client.tool("dispatch_parallel", json!({"dispatches": dispatches}));
    assert_eq!(all(&replies, "error_type"), ["recursion", "recursion"], "{replies}");
    let call = json!({"dispatches": dispatches, "aggregate": "chief"});
    let reply = client.tool("dispatch_parallel", call);
    assert_eq!(all(&reply["individual_results"], "error_type"), ["recursion", "recursion"]);
    assert_eq!(reply["aggregated"]["error_type"], "recursion", "{reply}");
    assert_eq!(world.runs(), 0);
}

#[test]
fn a_client_hears_how_many_are_done() {
    let world = world_of(&[("one", "answer 1"), ("broken", "exit 3"), ("chief", "answer both")]);
    let mut client = Client::connect(&world);
    let call = json!({"dispatches": [ask("one"), ask("broken")], "aggregate": "chief"});
    let (notices, reply) = client.watch("dispatch_parallel", call);
    assert_eq!(reply["aggregated"]["result"], "both", "{reply}");
    let has = |part: &str| notices.iter().any(|notice| notice.contains(part));
    assert!(has("of 2 done, 'one' has answered"), "{notices:?}");
    assert!(has("of 2 done, 'broken' has failed (cli_error)"), "{notices:?}");
    assert!(has("2 of 3 done, the policy asks 'chief'"), "{notices:?}");
    assert!(notices.last().is_some_and(|last| last.starts_with("3 of 3 done, 'chief'")));
    // A call without a token hears nothing.
    let params = json!({"name": "dispatch_parallel", "arguments": {"dispatches": [ask("one")]}});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    client.send(&call.to_string());
    assert_eq!(client.receive()["id"], 7);
}
