//! A job that an agent starts is part of its dispatch.

use std::fs;

use serde_json::json;

use super::{keepers, look, wait_for_no_job};
use crate::support::mcp::Client;
use crate::support::{BINARY, World, until};

#[test]
fn a_job_that_an_agent_starts_ends_with_its_dispatch() {
    let world = World::with_agent("run sh ../asks\nhang");
    world.agent("below", "says 1 deep\nleave daemon new-session\ntouch ../there\nhang");
    world.config(&world.agents_yaml(&["infra", "below"]));
    let lines = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "dispatch_async", "arguments": {"agent": "below", "task": "x"}}}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    fs::write(world.path("lines"), lines + "\n").expect("a file");
    let asks = format!("(cat ../lines; sleep 1000) | {BINARY} serve > /dev/null\n");
    fs::write(world.path("asks"), asks).expect("a file");
    let mut client = Client::connect(&world);
    client.begin("asks", "dispatch", json!({"agent": "infra", "task": "x"}));
    world.wait_for("there");
    let (_, id) = keepers(&world).pop().expect("a keeper");
    client.cancel("asks");
    until(|| !world.has_process_of("below"), || format!("{:?}", world.processes()));
    wait_for_no_job(&world);
    let job = look(&world, &id);
    // Which of them depends on whether it had time to say so.
    assert!(["cancelled", "failed"].contains(&job["status"].as_str().expect("a status")), "{job}");
    assert_eq!(job["result"]["result"], "1 deep", "{job}");
}
