//! Jobs whose keeper is killed: whoever looks next brings them to their end.

use std::fs;
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    folder, go, keeper_of, keepers, look, one_works_and_one_waits, send, start_and_leave, wait,
    wait_for_no_job, wait_for_status,
};
use crate::support::mcp::Client;
use crate::support::{World, runner_of, until};

/// What a job that was lost says of it.
#[track_caller]
fn assert_lost(job: &Value, text: &str, has_session: bool) {
    assert_eq!((&job["status"], &job["error_type"]), (&json!("failed"), &json!("lost")), "{job}");
    let result = &job["result"];
    assert_eq!((&result["success"], &result["error_type"]), (&json!(false), &json!("lost")));
    assert_eq!((&result["result"], &result["error"]), (&json!(text), &job["error"]), "{job}");
    assert!(result["hint"].is_string(), "{job}");
    let session = result.get("session_id").and_then(Value::as_str);
    assert_eq!(session.is_some(), has_session, "{job}");
    if let Some(session) = session {
        assert_eq!(session.replace('-', ""), job["id"].as_str().expect("an id"));
    }
}

#[test]
fn one_that_waits_is_lost_before_anything_was_spent() {
    let (world, mut client, first, second) = one_works_and_one_waits();
    send(keeper_of(&world, &second), Signal::KILL);
    let lost = wait(&mut client, &second);
    assert_lost(&lost, "", false);
    assert!(lost["error"].as_str().expect("an error").contains("before its agent was started"));
    go(&world);
    assert_eq!(wait(&mut client, &first)["status"], "done");
    assert_eq!(world.runs(), 1);
    wait_for_no_job(&world);
}

#[test]
fn one_that_runs_keeps_what_it_had_said_and_can_go_on() {
    let world = World::with_agent("says 1 hello\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    let mut client = Client::connect(&world);
    client.begin("waits", "dispatch_wait", json!({"job_id": id}));
    send(keeper_of(&world, &id), Signal::KILL);
    assert_lost(&client.watch_on().1, "1 hello", true);
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    assert!(!folder(&world, &id).exists());
    // The journal knows of it too.
    let journal = world.run(&["tree", &id, "--json"]).json();
    assert_eq!((&journal[0]["state"], &journal[0]["form"]), (&json!("lost"), &json!("job")));
    assert!(journal[0]["ended_ms"].is_number(), "{journal}");
    wait_for_no_job(&world);
}

#[test]
fn a_result_that_is_in_the_spool_counts() {
    let world = World::with_agent("answer paid for\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    send(keeper_of(&world, &id), Signal::KILL);
    let done = wait(&mut Client::connect(&world), &id);
    assert_eq!((&done["status"], done.get("error")), (&json!("done"), None), "{done}");
    let result = &done["result"];
    assert_eq!((&result["result"], &result["cost_usd"]), (&json!("paid for"), &json!(0.25)));
    assert_eq!(look(&world, &id), done);
    let journal = world.run(&["tree", &id, "--json"]).json();
    assert_eq!((&journal[0]["cost_usd"], &journal[0]["success"]), (&json!(0.25), &json!(true)));
    wait_for_no_job(&world);
}

#[test]
fn one_whose_runner_is_killed_is_lost_and_told_by_its_keeper() {
    let world = World::with_agent("says 1 hello\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    send(runner_of(keeper_of(&world, &id)).expect("a runner"), Signal::KILL);
    assert_lost(&wait(&mut Client::connect(&world), &id), "1 hello", true);
    wait_for_no_job(&world);
}

#[test]
fn what_both_leave_behind_is_gone_by_the_next_look() {
    let hidden = "leave daemon double-fork new-session ignores-term no-environment";
    let world = World::with_agent(&format!("says 1 hello\n{hidden}\ntouch ../there\nhang"));
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    let keeper = keeper_of(&world, &id);
    let runner = runner_of(keeper).expect("a runner");
    // It cannot end anything any more.
    send(runner, Signal::STOP);
    send(keeper, Signal::KILL);
    send(runner, Signal::KILL);
    until(|| keepers(&world).is_empty(), || "the keeper lives".to_owned());
    assert!(world.has_process_of("infra"), "nobody has looked");
    let lookers: Vec<_> = (0..3)
        .map(|_| {
            let mut command = world.command();
            command.args(["job", &id, "--json"]);
            thread::spawn(move || command.output().expect("the binary runs"))
        })
        .collect();
    let seen: Vec<Value> = lookers
        .into_iter()
        .map(|looker| looker.join().expect("it looks"))
        .map(|output| serde_json::from_slice(&output.stdout).expect("JSON"))
        // The lock may be held for another moment by what the kernel has not taken away.
        .filter(|job: &Value| job["status"] != "running")
        .collect();
    wait_for_status(&world, &id, "failed");
    assert!(!world.has_process_of("infra"), "{:?}", world.processes());
    let job = look(&world, &id);
    assert_lost(&job, "1 hello", true);
    assert!(seen.iter().all(|one| *one == job), "{seen:?}");
    wait_for_no_job(&world);
}

#[test]
fn a_quiet_job_is_not_taken_for_a_dead_one() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer x");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let keeper = keeper_of(&world, &id);
    send(keeper, Signal::STOP);
    for _ in 0..3 {
        assert_eq!(look(&world, &id)["status"], "running");
        assert_eq!(world.run(&["jobs", "--json"]).json()[0]["status"], "running");
    }
    send(keeper, Signal::CONT);
    go(&world);
    assert_eq!(wait(&mut Client::connect(&world), &id)["status"], "done");
    wait_for_no_job(&world);
}

#[test]
fn a_folder_that_is_gone_leaves_no_job_without_an_end() {
    let world = World::with_agent("touch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    fs::remove_dir_all(folder(&world, &id)).expect("the folder");
    // Who says how it ended, the one who looks or its keeper, whose agent is gone, is chance.
    assert_eq!(look(&world, &id)["status"], "failed");
    wait_for_no_job(&world);
}
