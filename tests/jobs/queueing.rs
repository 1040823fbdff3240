//! Jobs wait for the slots that all dispatches share, and not too many of them.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use super::{go, keeper_of, look, send, start, wait, wait_for_no_job, wait_for_status};
use crate::support::mcp::Client;
use crate::support::{World, runner_of, until};

fn world_with(limits: &str) -> World {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer x");
    world.agent("other", "wait ../go-on\nanswer y");
    world.agent("quick", "answer z");
    world.config(&format!("{}{limits}", world.agents_yaml(&["infra", "other", "quick"])));
    world
}

/// Waits until so many processes of this class wait for a slot.
#[track_caller]
fn wait_for_waiting(world: &World, class: &str, count: usize) {
    let folder = world.path("home/.local/state/agent-dispatch/slots/0");
    let names = || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(class)).count()
    };
    until(|| names() == count, || format!("{} wait as {class}", names()));
}

#[test]
fn whoever_waits_for_an_answer_goes_before_jobs() {
    let world = world_with("  max_concurrency: 1\n");
    let mut client = Client::connect(&world);
    let first = start(&mut client, "infra", "one");
    world.wait_for("there");
    let second = start(&mut client, "other", "two");
    wait_for_waiting(&world, "background-", 1);
    assert_eq!(look(&world, &second)["status"], "pending");
    assert_eq!(runner_of(keeper_of(&world, &second)), None, "who waits needs no runner");
    client.begin("asks", "dispatch", json!({"agent": "quick", "task": "x"}));
    wait_for_waiting(&world, "interactive-", 1);
    go(&world);
    // Were it the job's turn, this would never come.
    assert_eq!(client.watch_on().1["result"], "z");
    assert_eq!(wait(&mut client, &first)["status"], "done");
    fs::write(world.path("go-on"), "").expect("a file");
    assert_eq!(wait(&mut client, &second)["result"]["result"], "y");
    wait_for_no_job(&world);
}

#[test]
fn no_more_wait_than_the_config_allows_and_the_dead_do_not_count() {
    let world = world_with("  max_concurrency: 1\n  max_queued_jobs: 1\n");
    let mut client = Client::connect(&world);
    let first = start(&mut client, "infra", "one");
    world.wait_for("there");
    wait_for_status(&world, &first, "running");
    let second = start(&mut client, "quick", "two");
    let question = json!({"agent": "quick", "task": "three"});
    let refused = client.tool("dispatch_async", question.clone());
    let error = refused["error"].as_str().unwrap_or_else(|| panic!("{refused}"));
    assert!(error.contains("settings.max_queued_jobs"), "{error}");
    let listed = client.tool("dispatch_jobs", json!({}));
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let jobs = world.path("home/.local/state/agent-dispatch/jobs");
    assert_eq!(fs::read_dir(jobs).expect("folders").count(), 2);
    send(keeper_of(&world, &second), Signal::KILL);
    until(
        || client.tool("dispatch_async", question.clone())["job_id"].is_string(),
        || "there is no room".to_owned(),
    );
    assert_eq!(look(&world, &second)["error_type"], "lost");
    go(&world);
    let mut done = || client.tool("dispatch_jobs", json!({"status": "done"}));
    until(|| done().as_array().map(Vec::len) == Some(2), || "they are not done".to_owned());
    wait_for_no_job(&world);
}
