//! Several who want something of one job at once, and processes that are killed at bad times.

use std::fs;
use std::os::unix::process::CommandExt;
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::{
    go, keeper_of, keepers, look, one_works_and_one_waits, send, start, start_and_leave, wait,
    wait_for_no_job, wait_for_status,
};
use crate::support::mcp::{Client, Streams};
use crate::support::{World, runner_of, until};

#[test]
fn a_job_that_waits_outlives_its_server() {
    let (world, client, first, second) = one_works_and_one_waits();
    client.signal(Signal::KILL);
    drop(client);
    let mut others = [Client::connect(&world), Client::connect(&world)];
    for other in &mut others {
        other.begin("waits", "dispatch_wait", json!({"job_id": second}));
    }
    assert_eq!(look(&world, &second)["status"], "pending");
    go(&world);
    let [one, two] = others.each_mut().map(|other| other.watch_on().1);
    assert_eq!((&one["status"], &one), (&json!("done"), &two));
    assert_eq!(look(&world, &first)["status"], "done");
    wait_for_no_job(&world);
}

#[test]
fn who_kills_the_group_of_the_server_has_not_killed_what_was_promised() {
    for _ in 0..5 {
        let world = World::with_agent("answer x");
        let mut command = world.command();
        command.arg("serve").process_group(0);
        let mut client = Client::spawn(&mut command, Streams::Sockets);
        client.initialize();
        let id = start(&mut client, "infra", "look");
        let group = Pid::from_raw(client.pid().cast_signed()).expect("a process");
        kill_process_group(group, Signal::KILL).expect("it lives");
        drop(client);
        let job = wait(&mut Client::connect(&world), &id);
        assert_eq!(job["status"], "done", "{job}");
        wait_for_no_job(&world);
    }
}

#[test]
fn of_several_who_cancel_at_once_one_alone_did() {
    let world = World::with_agent("says 1 hello\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let cancelling: Vec<_> = (0..4)
        .map(|_| {
            let mut command = world.command();
            command.args(["cancel", &id, "--json"]);
            thread::spawn(move || command.output().expect("the binary runs"))
        })
        .collect();
    let mut outcomes: Vec<String> = cancelling
        .into_iter()
        .map(|one| one.join().expect("it cancels"))
        .map(|output| serde_json::from_slice::<Value>(&output.stdout).expect("JSON"))
        .inspect(|cancelled| assert_eq!(cancelled["status"], "cancelled"))
        .map(|cancelled| cancelled["outcome"].as_str().expect("an outcome").to_owned())
        .collect();
    outcomes.sort();
    let already = "already_terminal";
    assert_eq!(outcomes, [already, already, already, "cancelled_running"]);
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    assert_eq!(look(&world, &id)["result"]["result"], "1 hello");
    wait_for_no_job(&world);
}

#[test]
fn whether_it_ended_or_was_cancelled_it_stays_so() {
    for _ in 0..8 {
        let world = World::with_agent("touch ../there\nwait ../go\nanswer x");
        let id = start_and_leave(&world, "infra");
        world.wait_for("there");
        wait_for_status(&world, &id, "running");
        let mut client = Client::connect(&world);
        client.begin("cancels", "dispatch_cancel", json!({"job_id": id}));
        go(&world);
        let cancelled = client.watch_on().1;
        let job = look(&world, &id);
        match cancelled["outcome"].as_str().expect("an outcome") {
            "already_terminal" => {
                assert_eq!(
                    (&job["status"], &job["result"]["result"]),
                    (&json!("done"), &json!("x"))
                );
            }
            "cancelled_running" => assert_eq!(job["status"], "cancelled", "{job}"),
            other => panic!("{other}"),
        }
        wait_for_no_job(&world);
        assert_eq!(look(&world, &id), job);
    }
}

#[test]
fn one_that_waits_with_a_stopped_keeper_can_be_cancelled() {
    let (world, mut client, first, second) = one_works_and_one_waits();
    // At whatever point of its life that is.
    send(keeper_of(&world, &second), Signal::STOP);
    let cancelled = client.tool("dispatch_cancel", json!({"job_id": second}));
    assert_eq!(
        (&cancelled["outcome"], &cancelled["status"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    assert!(keepers(&world).iter().all(|(_, id)| *id != second), "{:?}", keepers(&world));
    go(&world);
    assert_eq!(wait(&mut client, &first)["status"], "done");
    assert_eq!(look(&world, &second)["status"], "cancelled");
    assert_eq!(world.runs(), 1);
    wait_for_no_job(&world);
}

#[test]
fn one_whose_runner_was_stopped_can_be_cancelled() {
    let world = World::with_agent("says 1 hello\nignore-term\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    send(runner_of(keeper_of(&world, &id)).expect("a runner"), Signal::STOP);
    let mut client = Client::connect(&world);
    let cancelled = client.tool("dispatch_cancel", json!({"job_id": id}));
    assert_eq!(cancelled["outcome"], "cancelled_running", "{cancelled}");
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    assert_eq!(look(&world, &id)["result"]["result"], "1 hello");
    wait_for_no_job(&world);
}

#[test]
fn one_whose_runner_was_stopped_and_whose_keeper_is_dead_can_be_cancelled() {
    let world = World::with_agent("says 1 hello\nleave daemon new-session\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let keeper = keeper_of(&world, &id);
    let runner = runner_of(keeper).expect("a runner");
    send(runner, Signal::STOP);
    send(keeper, Signal::KILL);
    until(|| keepers(&world).is_empty(), || "the keeper lives".to_owned());
    // Somebody who waits keeps nothing of it alive and is not killed for it.
    let mut waits = Client::connect(&world);
    waits.begin("waits", "dispatch_wait", json!({"job_id": id}));
    let mut client = Client::connect(&world);
    let cancelled = client.tool("dispatch_cancel", json!({"job_id": id}));
    assert_eq!(cancelled["outcome"], "cancelled_running", "{cancelled}");
    // One that is stopped would go on some day. Whoever inherits it reaps it.
    let is_gone = || fs::metadata(format!("/proc/{runner}")).is_err();
    until(is_gone, || "its runner is still there".to_owned());
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    let job = look(&world, &id);
    assert_eq!(
        (&job["status"], &job["result"]["result"]),
        (&json!("cancelled"), &json!("1 hello"))
    );
    assert_eq!(waits.watch_on().1, job);
    wait_for_no_job(&world);
}

#[test]
fn an_agent_that_stops_its_runner_is_ended_all_the_same() {
    let world = World::with_agent("says 1 hello\nstop-parent\ntouch ../there\nhang");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let ran = world.run(&["cancel", &id, "--json"]);
    assert_eq!(ran.json()["outcome"], "cancelled_running", "{ran:?}");
    assert!(world.processes().is_empty(), "{:?}", world.processes());
    wait_for_no_job(&world);
}
