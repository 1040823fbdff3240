//! Jobs where their store or their files are not as they should be.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::json;

use super::{
    folder, go, keepers, look, one_works_and_one_waits, start, start_and_leave, wait,
    wait_for_no_job, wait_for_status,
};
use crate::support::mcp::Client;
use crate::support::{World, until};

fn store(world: &World) -> PathBuf {
    world.path("home/.local/state/agent-dispatch/store.sqlite")
}

fn count(world: &World, table: &str) -> i64 {
    let database = Connection::open(store(world)).expect("the store");
    let counted =
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    counted.expect("a table")
}

#[test]
fn what_ends_while_the_store_is_a_newer_ones_is_written_down_later() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer paid for\ntouch ../said");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let database = Connection::open(store(&world)).expect("the store");
    let ours: i64 =
        database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    database.pragma_update(None, "user_version", 99).expect("a newer one");
    let mut client = Client::connect(&world);
    for (tool, arguments) in [
        ("dispatch_async", json!({"agent": "infra", "task": "x"})),
        ("dispatch_status", json!({"job_id": id})),
        ("dispatch_wait", json!({"job_id": id})),
        ("dispatch_cancel", json!({"job_id": id})),
        ("dispatch_jobs", json!({})),
        ("dispatch_gc", json!({})),
    ] {
        let answer = client.tool(tool, arguments);
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{tool}: {answer}"));
        assert!(error.contains("newer agent-dispatch"), "{tool}: {error}");
    }
    go(&world);
    world.wait_for("said");
    world.wait_for_no_process_of("infra");
    database.pragma_update(None, "user_version", ours).expect("ours again");
    let done = wait(&mut Client::connect(&world), &id);
    assert_eq!(
        (&done["status"], &done["result"]["result"]),
        (&json!("done"), &json!("paid for")),
        "{done}"
    );
    wait_for_no_job(&world);
}

#[test]
fn where_nothing_can_be_written_nothing_is_started() {
    for (in_the_way, makes) in [("store.sqlite", "a folder"), ("jobs", "a file")] {
        let world = World::with_agent("count ../runs\nanswer x");
        let state = world.path("home/.local/state/agent-dispatch");
        fs::create_dir_all(&state).expect("a folder");
        match makes {
            "a folder" => fs::create_dir(state.join(in_the_way)).expect("a folder"),
            _ => fs::write(state.join(in_the_way), "in the way").expect("a file"),
        }
        let mut client = Client::connect(&world);
        let refused = client.tool("dispatch_async", json!({"agent": "infra", "task": "x"}));
        let error = refused["error"].as_str().unwrap_or_else(|| panic!("{refused}"));
        assert!(error.contains("cannot be"), "{error}");
        assert!(keepers(&world).is_empty(), "{:?}", keepers(&world));
        assert_eq!(world.runs(), 0);
        if state.join("jobs").is_dir() {
            assert_eq!(fs::read_dir(state.join("jobs")).expect("the folder").count(), 0);
        }
    }
}

#[test]
fn a_job_whose_files_are_damaged_hides_no_other() {
    let (world, mut client, first, second) = one_works_and_one_waits();
    let lock = folder(&world, &second).join("lock");
    fs::remove_file(&lock).expect("its lock");
    fs::create_dir(&lock).expect("a folder in its place");
    let listed = client.tool("dispatch_jobs", json!({}));
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let told = client.tool("dispatch_status", json!({"job_id": second}));
    assert!(
        told["error"].as_str().is_some_and(|error| error.contains("files of the job")),
        "{told}"
    );
    go(&world);
    assert_eq!(wait(&mut client, &first)["status"], "done");
    // Its keeper has what it needs.
    let is_done = || client.tool("dispatch_jobs", json!({"status": "done"}));
    let mut done = is_done;
    until(|| done().as_array().map(Vec::len) == Some(2), || "it is not done".to_owned());
    wait_for_no_job(&world);
}

#[test]
fn what_is_forgotten_is_gone_with_its_reply_and_what_runs_is_left() {
    let world = World::with_agent("answer x");
    world.agent("slow", "touch ../there\nwait ../go\nanswer y");
    world.config(&world.agents_yaml(&["infra", "slow"]));
    let mut client = Client::connect(&world);
    let slow = start(&mut client, "slow", "look");
    world.wait_for("there");
    let quick = start(&mut client, "infra", "look");
    wait(&mut client, &quick);
    until(|| keepers(&world).len() == 1, || format!("{:?}", keepers(&world)));
    // What a killed process left of a job that was over, and of one that never was.
    for (left, age) in [(&quick, 0), (&"a".repeat(32), 2), (&"b".repeat(32), 0)] {
        fs::create_dir(folder(&world, left)).expect("a folder");
        let hours = std::time::Duration::from_hours(age);
        let since = std::time::SystemTime::now() - hours;
        let folder = fs::File::open(folder(&world, left)).expect("a folder");
        folder.set_modified(since).expect("a time");
    }
    assert_eq!((count(&world, "job"), count(&world, "reply")), (2, 1));
    let dry = world.run(&["gc", "--all", "--dry-run", "--json"]).json();
    assert_eq!(dry, json!({"dry_run": true, "job_ids": [quick]}));
    assert_eq!((count(&world, "job"), count(&world, "reply")), (2, 1));
    assert!(folder(&world, &"a".repeat(32)).exists());
    assert_eq!(world.run(&["gc", "--all"]).stdout, "1 job forgotten\n");
    assert_eq!((count(&world, "job"), count(&world, "reply")), (1, 0));
    let left = fs::read_dir(folder(&world, "")).expect("the folder").flatten();
    let mut left: Vec<_> = left.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    left.sort();
    let mut expected = vec!["b".repeat(32), slow.clone()];
    expected.sort();
    assert_eq!(left, expected, "the young one may be about to become a job");
    go(&world);
    assert_eq!(wait(&mut client, &slow)["result"]["result"], "y");
    assert_eq!(look(&world, &slow)["status"], "done");
    wait_for_no_job(&world);
}
