//! Cancelling jobs, from whatever process.

use rustix::process::Signal;
use serde_json::json;

use super::{
    go, keeper_of, keys, look, one_works_and_one_waits, send, start, start_and_leave, wait,
    wait_for_no_job, wait_for_status,
};
use crate::support::World;
use crate::support::mcp::Client;

#[track_caller]
fn cancel(client: &mut Client, id: &str, outcome: &str, status: &str) {
    let cancelled = client.tool("dispatch_cancel", json!({"job_id": id}));
    assert_eq!(keys(&cancelled), "job_id outcome status message");
    assert_eq!(cancelled["job_id"], id);
    assert_eq!((&cancelled["outcome"], &cancelled["status"]), (&json!(outcome), &json!(status)));
}

#[test]
fn one_that_waits_never_begins() {
    let (world, mut client, first, second) = one_works_and_one_waits();
    keeper_of(&world, &second);
    let mut other = Client::connect(&world);
    cancel(&mut other, &second, "cancelled", "cancelled");
    let job = look(&world, &second);
    assert_eq!((&job["error_type"], job.get("result")), (&json!("cancelled"), None), "{job}");
    assert!(job["error"].as_str().expect("an error").contains("before its agent was started"));
    cancel(&mut other, &second, "already_terminal", "cancelled");
    go(&world);
    assert_eq!(wait(&mut client, &first)["status"], "done");
    wait_for_no_job(&world);
    assert_eq!(world.runs(), 1);
}

#[test]
fn one_that_runs_is_ended_and_what_it_had_said_is_kept() {
    let world = World::with_agent("says 1 hello\nleave daemon new-session\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let ran = world.run(&["cancel", &id]);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{id}  cancelled\n")));
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    let job = look(&world, &id);
    assert_eq!((&job["status"], &job["error_type"]), (&json!("cancelled"), &json!("cancelled")));
    let result = &job["result"];
    assert_eq!((&result["success"], &result["result"]), (&json!(false), &json!("1 hello")));
    assert!(result["session_id"].is_string(), "{job}");
    assert_eq!(world.run(&["cancel", &id]).code, Some(0));
    wait_for_no_job(&world);
}

#[test]
fn what_was_paid_for_is_kept_also_where_it_came_too_late() {
    let world = World::with_agent("answer paid for\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let mut client = Client::connect(&world);
    cancel(&mut client, &id, "cancelled_running", "cancelled");
    let job = look(&world, &id);
    assert_eq!(
        (&job["status"], &job["result"]["result"]),
        (&json!("cancelled"), &json!("paid for"))
    );
    assert_eq!(job["result"]["cost_usd"], 0.25);
    assert_eq!(client.tool("dispatch_jobs", json!({}))[0]["cost_usd"], 0.25);
    wait_for_no_job(&world);
}

#[test]
fn a_result_is_never_taken_back() {
    let world = World::with_agent("answer x");
    let mut client = Client::connect(&world);
    let id = start(&mut client, "infra", "look");
    let done = wait(&mut client, &id);
    cancel(&mut client, &id, "already_terminal", "done");
    assert_eq!(look(&world, &id), done);
    wait_for_no_job(&world);
}

#[test]
fn a_keeper_that_was_stopped_holds_up_nobody() {
    let world = World::with_agent("says 1 hello\nignore-term\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    send(keeper_of(&world, &id), Signal::STOP);
    cancel(&mut Client::connect(&world), &id, "cancelled_running", "cancelled");
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    let job = look(&world, &id);
    assert_eq!(
        (&job["status"], &job["result"]["result"]),
        (&json!("cancelled"), &json!("1 hello"))
    );
    wait_for_no_job(&world);
}

#[test]
fn a_keeper_that_is_asked_to_end_ends_its_job() {
    let world = World::with_agent("says 1 hello\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    send(keeper_of(&world, &id), Signal::TERM);
    // Who waits for a cancelled one waits until what it has said is there.
    let job = wait(&mut Client::connect(&world), &id);
    assert_eq!(
        (&job["status"], &job["result"]["result"]),
        (&json!("cancelled"), &json!("1 hello"))
    );
    assert!(job["error"].as_str().expect("an error").contains("was asked to end"), "{job}");
    wait_for_no_job(&world);
}
