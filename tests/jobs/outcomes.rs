//! How a job ends, and what is told of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{folder, go, look, start, start_and_leave, wait, wait_for_no_job, wait_for_status};
use crate::support::World;
use crate::support::mcp::{Client, Streams};

#[test]
fn a_timeout_ends_it_and_keeps_what_was_said() {
    let world = World::with_agent("says 1 hello\nleave daemon new-session ignores-term\nhang");
    let yaml = world.agents_yaml(&["infra"]).replace("settings:", "    timeout: 1\nsettings:");
    world.config(&yaml);
    let mut client = Client::connect(&world);
    let id = start(&mut client, "infra", "look");
    let job = wait(&mut client, &id);
    assert_eq!((&job["status"], &job["error_type"]), (&json!("failed"), &json!("timeout")));
    let result = &job["result"];
    assert_eq!((&result["result"], &result["error"]), (&json!("1 hello"), &job["error"]));
    assert_eq!(result["session_id"].as_str().expect("one").replace('-', ""), id);
    let listed = client.tool("dispatch_jobs", json!({"status": "failed"}));
    assert_eq!(
        (&listed[0]["error_type"], &listed[0]["success"]),
        (&json!("timeout"), &json!(false))
    );
    wait_for_no_job(&world);
}

#[test]
fn an_agent_without_a_result_has_failed() {
    for script in ["says 1 hello\nexit 3", "exit 0", "out this is no event\nsignal KILL"] {
        let world = World::with_agent(script);
        let mut client = Client::connect(&world);
        let id = start(&mut client, "infra", "look");
        let job = wait(&mut client, &id);
        assert_eq!(
            (&job["status"], &job["error_type"], &job["result"]["success"]),
            (&json!("failed"), &json!("cli_error"), &json!(false)),
            "{script}: {job}"
        );
        let shown = world.run(&["job", &id]);
        let error = job["error"].as_str().expect("an error").lines().next().expect("a line");
        assert!(shown.stderr.contains(error), "{shown:?}");
        assert!(world.run(&["jobs"]).stdout.contains("failed (cli_error)"));
        wait_for_no_job(&world);
    }
}

#[test]
fn a_long_answer_comes_through_the_spool_as_it_is() {
    let world = World::with_agent("repeat 5000000 x\ntouch ../there\nwait ../go");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let spool = folder(&world, &id).join("spool").metadata().expect("the spool");
    assert!(spool.len() > 10_000_000, "{}", spool.len());
    assert_eq!(spool.permissions().mode() & 0o777, 0o600);
    go(&world);
    wait_for_status(&world, &id, "done");
    let job = look(&world, &id);
    let text = job["result"]["result"].as_str().expect("a text");
    assert!(text.len() == 5_000_000 && text.bytes().all(|byte| byte == b'x'), "{}", text.len());
    // What is told of it meanwhile is short.
    assert!(job["progress"].to_string().len() < 2000, "{}", job["progress"]);
    wait_for_no_job(&world);
}

#[test]
fn what_is_told_of_its_progress_is_bounded() {
    let text = "y".repeat(1000);
    let world = World::with_agent(&format!("says 50 {text}\nanswer x"));
    let mut client = Client::connect(&world);
    let id = start(&mut client, "infra", "look");
    let job = wait(&mut client, &id);
    let lines = job["progress"].as_array().expect("lines");
    assert_eq!(lines.len(), 20);
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().expect("a line")).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 301), "{lines:?}");
    // The last ones count: the answer is said too.
    assert!(lines[0].starts_with("says: 32 y") && lines[19] == "says: x", "{lines:?}");
    wait_for_no_job(&world);
}

#[test]
fn a_config_that_is_named_by_a_relative_path_is_found() {
    let world = World::with_agent("answer x");
    let mut command = world.command();
    command.arg("serve").env("AGENT_DISPATCH_CONFIG", "agents.yaml");
    let mut client = Client::spawn(&mut command, Streams::Sockets);
    client.initialize();
    let id = start(&mut client, "infra", "look");
    assert_eq!(wait(&mut client, &id)["status"], "done");
    wait_for_no_job(&world);
}

#[test]
fn jobs_go_on_and_can_be_cancelled_while_the_config_is_broken() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer x");
    world.agent("other", "touch ../other-there\nhang");
    world.config(&world.agents_yaml(&["infra", "other"]));
    let mut client = Client::connect(&world);
    let first = start(&mut client, "infra", "one");
    let second = start(&mut client, "other", "two");
    world.wait_for("there");
    world.wait_for("other-there");
    world.config("agents: [");
    let refused = client.tool("dispatch_async", json!({"agent": "infra", "task": "three"}));
    assert!(refused["error"].is_string() && refused.get("job_id").is_none(), "{refused}");
    let cancelled = client.tool("dispatch_cancel", json!({"job_id": second}));
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    go(&world);
    assert_eq!(wait(&mut client, &first)["result"]["result"], "x");
    assert_eq!(client.tool("dispatch_jobs", json!({})).as_array().map(Vec::len), Some(2));
    wait_for_no_job(&world);
}

#[test]
fn odd_arguments_are_told_what_they_should_be() {
    let world = World::with_agent("answer x");
    let mut client = Client::connect(&world);
    let id = "0".repeat(32);
    for (tool, arguments, named) in [
        ("dispatch_status", json!({}), "job_id"),
        ("dispatch_status", json!({"job_id": 7}), "job_id"),
        ("dispatch_wait", json!({"job_id": " "}), "job_id"),
        ("dispatch_wait", json!({"job_id": id, "timeout_seconds": "soon"}), "timeout_seconds"),
        ("dispatch_cancel", json!({"job_id": [id]}), "job_id"),
        ("dispatch_jobs", json!({"limit": 1.5}), "limit"),
        ("dispatch_jobs", json!({"status": 1}), "status"),
        ("dispatch_gc", json!({"max_age_days": "old"}), "max_age_days"),
        ("dispatch_gc", json!({"dry_run": "maybe"}), "dry_run"),
        ("dispatch_async", json!({"task": "x"}), "agent"),
    ] {
        let result = client.call(tool, arguments.clone());
        assert_eq!(result["isError"], true, "{tool} {arguments}: {result}");
        assert!(result["content"][0]["text"].as_str().expect("text").contains(named), "{result}");
    }
    for odd in ["", "x", "../../../etc/passwd", &id[1..], &format!("{id}0"), &format!("infra{id}")]
    {
        let ran = world.run(&["job", odd, "--json"]);
        assert_eq!(ran.code, Some(1), "{odd:?}: {ran:?}");
        assert!(ran.json()["error"].is_string() && ran.json()["hint"].is_string(), "{ran:?}");
    }
    assert!(!folder(&world, "").exists(), "nothing was made for any of them");
    // Beyond the bounds the nearest counts, as everywhere.
    for limit in [json!(0), json!(-5), json!(1e12), Value::Null] {
        assert_eq!(client.tool("dispatch_jobs", json!({"limit": limit})), json!([]));
    }
    let state = world.path("home/.local/state/agent-dispatch/jobs");
    assert!(!state.exists() || fs::read_dir(state).expect("it").count() == 0);
}
