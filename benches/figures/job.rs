//! A job: how soon its agent works, and what its keeper and its runner take meanwhile.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::print::{figure, row};
use crate::proportional_set_size;
use crate::support::mcp::Client;
use crate::support::{World, runner_of, until};

const ROUNDS: usize = 60;

/// From the call of `dispatch_async` until the agent says what time it is, by its own clock.
/// Floor: the same with `dispatch_stream`, whose runner is there already.
pub(crate) fn job() {
    let world = World::with_agent("says-times 1 0\nanswer ok");
    let mut client = Client::connect(&world);
    let (mut measured, mut floor) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let question = json!({"agent": "infra", "task": format!("task {round}")});
        let asked = now();
        let id = client.tool("dispatch_async", question.clone())["job_id"].clone();
        let done = client.tool("dispatch_wait", json!({"job_id": id}));
        let lines = done["progress"].as_array().expect("lines");
        let began = lines.iter().filter_map(Value::as_str).find_map(time_said).expect("a time");
        let asked_again = now();
        let (notices, _) = client.watch("dispatch_stream", question);
        let began_again = notices.iter().find_map(|notice| time_said(notice)).expect("a time");
        // The first of all has to compile a policy.
        if round > 0 {
            measured.push(began.saturating_sub(asked));
            floor.push(began_again.saturating_sub(asked_again));
        }
    }
    row("dispatch_async → its agent works, ms", measured, Some(floor));
    memory();
}

fn memory() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    let question = json!({"agent": "infra", "task": "x"});
    let id = client.tool("dispatch_async", question)["job_id"].clone();
    world.wait_for("there");
    let status = json!({"job_id": id});
    until(
        || client.tool("dispatch_status", status.clone())["status"] == "running",
        || "it does not run".to_owned(),
    );
    let keeper = keeper_of(client.pid()).expect("a keeper");
    let runner = runner_of(keeper).expect("a runner");
    figure("memory of a job's keeper, PSS, MiB", proportional_set_size(keeper));
    figure("… and of its runner, PSS, MiB", proportional_set_size(runner));
    fs::write(world.path("go"), "").expect("a file");
    client.tool("dispatch_wait", status);
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// The time in what `says-times` has said.
fn time_said(line: &str) -> Option<Duration> {
    line.rsplit_once("at ")?.1.parse().ok().map(Duration::from_nanos)
}

/// The process that keeps a job of this server.
fn keeper_of(server: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{server}/task")).ok()?.flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")));
    let children: String = lists.flatten().collect();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"keep-job")
    })
}
