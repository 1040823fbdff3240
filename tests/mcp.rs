//! The server as an MCP client sees it.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::{Client, Streams};

#[test]
fn a_client_lists_tools_and_dispatches_over_pipes_and_sockets() {
    for streams in [Streams::Pipes, Streams::Sockets] {
        let world = World::with_agent("record\nanswer all is well");
        let mut client = Client::start(&world, streams);
        let hello = client.initialize();
        assert_eq!(hello["serverInfo"]["name"], "agent-dispatch");
        assert_eq!(hello["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(hello["protocolVersion"], "2025-11-25");
        let instructions = hello["instructions"].as_str().expect("instructions");
        assert!(instructions.contains("When to dispatch"), "{instructions}");

        let listed = client.request("tools/list", json!({}));
        let names: Vec<&Value> =
            listed["tools"].as_array().expect("tools").iter().map(|tool| &tool["name"]).collect();
        assert_eq!(
            names,
            [
                "list_agents",
                "dispatch",
                "dispatch_session",
                "dispatch_parallel",
                "dispatch_stream",
                "dispatch_dialogue",
                "fetch_result",
                "dispatch_async",
                "dispatch_status",
                "dispatch_wait",
                "dispatch_cancel",
                "dispatch_jobs",
                "dispatch_gc",
                "add_agent",
                "remove_agent",
                "cache_stats",
                "cache_clear"
            ]
        );

        let agents = client.tool("list_agents", json!({}));
        assert_eq!(agents[0]["name"], "infra");
        assert_eq!(agents[0]["healthy"], true);

        let reply = client.tool("dispatch", json!({"agent": "infra", "task": "look"}));
        assert_eq!(reply["success"], true, "{reply}");
        assert_eq!(reply["result"], "all is well");
        assert_eq!(world.recorded("infra", "prompt"), "look");
        assert!(client.close().success());
    }
}

#[test]
fn a_tool_says_what_it_takes_and_does() {
    let world = World::new();
    let mut client = Client::connect(&world);
    let listed = client.request("tools/list", json!({}));
    let dispatchs = &["fresh", "return_ref", "summary_chars"][..];
    for (tool, own) in [(1, dispatchs), (2, &["session_id"])] {
        let schema = &listed["tools"][tool]["inputSchema"];
        assert_eq!(schema["required"], json!(["agent", "task"]));
        let parameters: Vec<&String> =
            schema["properties"].as_object().expect("properties").keys().collect();
        let common = ["agent", "task", "context", "caller", "goal", "timeout_seconds"];
        assert_eq!(parameters, [&common[..], own].concat());
    }
    let dispatch = &listed["tools"][1];
    assert_eq!(dispatch["annotations"]["readOnlyHint"], false);
    assert_eq!(dispatch["annotations"]["openWorldHint"], true);
    assert_eq!(listed["tools"][0]["annotations"]["readOnlyHint"], true);
    for tool in listed["tools"].as_array().expect("tools") {
        assert!(tool.get("outputSchema").is_none(), "{tool}");
        assert!(tool["description"].as_str().expect("description").len() > 80, "{tool}");
    }
}

#[test]
fn a_small_answer_is_structured_too_and_a_large_one_is_only_text() {
    let world = World::with_agent("answer short");
    let mut client = Client::connect(&world);
    let small = client.call("dispatch", json!({"agent": "infra", "task": "look"}));
    let text: Value =
        serde_json::from_str(small["content"][0]["text"].as_str().expect("text")).expect("JSON");
    assert_eq!(small["structuredContent"], text);
    assert_eq!(small["isError"], false);

    let listed = client.call("list_agents", json!({}));
    assert_eq!(listed["structuredContent"]["result"][0]["name"], "infra");

    world.agent("infra", "repeat 9000 x");
    let large = client.call("dispatch", json!({"agent": "infra", "task": "look closely"}));
    assert!(large.get("structuredContent").is_none());
    let text: Value =
        serde_json::from_str(large["content"][0]["text"].as_str().expect("text")).expect("JSON");
    assert_eq!(text["result"], "x".repeat(9000));
}

#[test]
fn a_probe_before_initialize_is_answered() {
    let world = World::new();
    let mut client = Client::start(&world, Streams::Sockets);
    client.send(
        r#"{"jsonrpc":"2.0","id":"server-discover-probe-1","method":"server/discover","params":{"_meta":{"protocolVersion":"2026-07-28"}}}"#,
    );
    let answer = client.receive();
    assert_eq!(answer["id"], "server-discover-probe-1");
    assert!(answer.get("error").is_some() || answer.get("result").is_some(), "{answer}");
    assert_eq!(client.initialize()["serverInfo"]["name"], "agent-dispatch");
}

#[test]
fn no_first_message_ends_the_server() {
    let first_messages = [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"no/such/method","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":4,"method":"initialize","params":{}}"#,
        "this is no JSON",
        "",
        "[]",
        "null",
        "\u{feff}{}",
    ];
    for first in first_messages {
        let world = World::new();
        let mut client = Client::start(&world, Streams::Pipes);
        client.send(first);
        assert_eq!(client.initialize()["serverInfo"]["name"], "agent-dispatch", "{first}");
    }
}

#[test]
fn no_message_between_probes_ends_the_server() {
    let probe = r#"{"jsonrpc":"2.0","id":"probe","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"0"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let requests = [
        probe,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#,
    ];
    let others = [
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"probe"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":9,"result":{}}"#,
    ];
    for request in requests {
        for other in others {
            let world = World::new();
            let mut client = Client::start(&world, Streams::Sockets);
            client.send(request);
            client.receive();
            client.send(other);
            let hello = client.initialize();
            assert_eq!(hello["serverInfo"]["name"], "agent-dispatch", "{request} {other}");
        }
    }
}

#[test]
fn a_client_that_discovers_goes_on_without_initialize() {
    let world = World::with_agent("answer hello");
    let mut client = Client::start(&world, Streams::Sockets);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = client.request("server/discover", json!({"_meta": meta}));
    assert!(
        found["supportedVersions"].as_array().is_some_and(|all| all.contains(&json!("2026-07-28"))),
        "{found}"
    );
    let listed = client.request("tools/list", json!({"_meta": meta}));
    assert_eq!(listed["tools"][0]["name"], "list_agents");
    let call =
        json!({"_meta": meta, "name": "dispatch", "arguments": {"agent": "infra", "task": "x"}});
    let answer = client.request("tools/call", call);
    assert_eq!(answer["structuredContent"]["result"], "hello", "{answer}");
}

#[test]
fn what_is_no_request_of_this_server_is_told_apart() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    let (unknown, unusable) = (-32601, -32602);
    for (method, params, code) in [
        ("no/such/method", json!({}), unknown),
        ("resources/list", json!({}), unknown),
        ("prompts/list", json!({}), unknown),
        ("tools/call", json!({}), unusable),
        ("tools/call", json!({"arguments": {"agent": "infra"}}), unusable),
        ("tools/call", json!({"name": "dispatch", "arguments": ["infra", "look"]}), unusable),
    ] {
        let answer = client.response(method, params.clone());
        assert_eq!(answer["error"]["code"], code, "{method} {params}: {answer}");
    }
    assert_eq!(client.request("ping", json!({})), json!({}));
}

#[test]
fn a_cancelled_call_ends_its_run_and_nothing_else() {
    let world = World::with_agent("leave-child\ntouch ../started\nhang");
    world.agent("other", "answer hello");
    world.config(&world.agents_yaml(&["infra", "other"]));
    let mut client = Client::connect(&world);
    let call = json!({"jsonrpc": "2.0", "id": 55, "method": "tools/call",
        "params": {"name": "dispatch", "arguments": {"agent": "infra", "task": "x"}}});
    client.send(&call.to_string());
    world.wait_for("started");
    client
        .send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":55}}"#);
    world.wait_for_no_process();
    assert_eq!(client.tool("dispatch", json!({"agent": "other", "task": "x"}))["result"], "hello");
}

#[test]
fn a_server_that_ends_takes_its_runs_with_it() {
    for kill in [false, true] {
        let world = World::with_agent("leave-child\ntouch ../started\nhang");
        let mut client = Client::connect(&world);
        let call = json!({"jsonrpc": "2.0", "id": 55, "method": "tools/call",
            "params": {"name": "dispatch", "arguments": {"agent": "infra", "task": "x"}}});
        client.send(&call.to_string());
        world.wait_for("started");
        if kill {
            drop(client);
        } else {
            assert!(client.close().success());
        }
        world.wait_for_no_process();
    }
}

#[test]
fn a_client_that_does_not_read_the_log_is_served_all_the_same() {
    let world = World::with_agent("answer hello");
    let mut command = world.command();
    command.arg("serve").env("AGENT_DISPATCH_LOG", "trace").stderr(Stdio::piped());
    let mut client = Client::spawn(&mut command, Streams::Sockets);
    client.initialize();
    // Each call logs more than a line; a pipe holds some hundred.
    for number in 0..300 {
        let answer =
            client.response("no/such/method", json!({"padding": "x".repeat(500), "n": number}));
        assert!(answer["error"].is_object());
    }
    assert_eq!(client.tool("dispatch", json!({"agent": "infra", "task": "x"}))["result"], "hello");
}

#[test]
fn what_cannot_be_served_is_an_error_in_the_answer() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    let unknown = client.call("dispatch", json!({"agent": "nobody", "task": "look"}));
    assert_eq!(unknown["isError"], false);
    assert_eq!(unknown["structuredContent"]["error"], "Unknown agent: 'nobody'. Available: infra");
    for (arguments, part) in [
        (json!({"agent": "infra"}), "'task' is missing"),
        (json!({"task": "look"}), "'agent' is missing"),
        (json!({"agent": "infra", "task": "  "}), "'task' is missing"),
        (json!({"agent": "infra", "task": 7}), "'task' has to be a text, not a number"),
        (json!({"agent": "infra", "task": null}), "'task' is missing"),
        (json!({"agent": "infra", "task": "look", "goal": []}), "'goal' has to be a text"),
        (json!({"agent": "infra", "task": "x", "fresh": "maybe"}), "'fresh' has to be true or"),
        (json!({"agent": "infra", "task": "x", "timeout_seconds": 1.5}), "'timeout_seconds' has"),
        (json!({"agent": "infra", "task": "x", "timeout_seconds": {}}), "'timeout_seconds' has"),
    ] {
        let answer = client.call("dispatch", arguments);
        assert_eq!(answer["isError"], true, "{answer}");
        let error = answer["structuredContent"]["error"].as_str().expect("error");
        assert!(error.starts_with(part), "{error}");
    }
    let nothing = json!({"agent": "infra", "task": "y", "context": null, "timeout_seconds": null,
        "fresh": null});
    assert_eq!(client.tool("dispatch", nothing)["result"], "hello");
    let answer = client.call("no_such_tool", json!({}));
    assert_eq!(answer["isError"], true);
    // None of it ended the session.
    assert_eq!(client.tool("dispatch", json!({"agent": "infra", "task": "x"}))["result"], "hello");
}

#[test]
fn nobody_configured_says_how_to_begin() {
    let world = World::new();
    let mut client = Client::connect(&world);
    let answer = client.tool("list_agents", json!({}));
    assert!(answer["error"].as_str().expect("error").starts_with("No agents"), "{answer}");
    let answer = client.tool("dispatch", json!({"agent": "x", "task": "look"}));
    assert_eq!(answer["error"], "Unknown agent: 'x'. Available: (none configured)");
}

#[test]
fn calls_run_side_by_side() {
    let world = World::with_agent("touch ../first-runs\nwait ../go\nanswer first");
    world.agent("other", "wait ../first-runs\ntouch ../go\nanswer second");
    world.config(&world.agents_yaml(&["infra", "other"]));
    let mut client = Client::connect(&world);
    for (id, agent) in [(101, "infra"), (102, "other")] {
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "dispatch", "arguments": {"agent": agent, "task": "meet"}}});
        client.send(&call.to_string());
    }
    // Each waits for the other: they only end when both run.
    let mut ids = [client.receive()["id"].clone(), client.receive()["id"].clone()];
    ids.sort_by_key(Value::as_u64);
    assert_eq!(ids, [json!(101), json!(102)]);
}

#[test]
fn starting_a_server_touches_no_policy() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    client.request("tools/list", json!({}));
    client.tool("list_agents", json!({}));
    assert!(!world.cache().exists());
}
