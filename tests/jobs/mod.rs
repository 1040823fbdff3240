//! Jobs: dispatches that outlive the server that was asked for them.

mod cancelling;
mod following;
mod lost;
mod nested;
mod outcomes;
mod queueing;
mod storage;
mod together;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::mcp::{Client, Streams};
use crate::support::{World, until};

/// Starts a job and returns its id.
#[track_caller]
fn start(client: &mut Client, agent: &str, task: &str) -> String {
    let started = client.tool("dispatch_async", json!({"agent": agent, "task": task}));
    assert_eq!((&started["status"], &started["agent"]), (&json!("pending"), &json!(agent)));
    let id = started["job_id"].as_str().unwrap_or_else(|| panic!("no job: {started}"));
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    id.to_owned()
}

/// A job of a server that is gone by then.
#[track_caller]
fn start_and_leave(world: &World, agent: &str) -> String {
    let mut client = Client::connect(world);
    let id = start(&mut client, agent, "look");
    assert!(client.close().success());
    id
}

/// A job that works until `go`, and another that waits for its turn.
#[track_caller]
fn one_works_and_one_waits() -> (World, Client, String, String) {
    let world = World::with_agent("count ../runs\ntouch ../there\nwait ../go\nanswer x");
    world.config(&format!("{}  max_concurrency: 1\n", world.agents_yaml(&["infra"])));
    let mut client = Client::connect(&world);
    let first = start(&mut client, "infra", "one");
    world.wait_for("there");
    let second = start(&mut client, "infra", "two");
    (world, client, first, second)
}

/// The record of a job once it is over.
#[track_caller]
fn wait(client: &mut Client, id: &str) -> Value {
    let job = client.tool("dispatch_wait", json!({"job_id": id, "timeout_seconds": 60}));
    assert_eq!((job.get("timed_out_waiting"), &job["id"]), (None, &json!(id)), "{job}");
    job
}

/// The same by the command line, and without waiting.
#[track_caller]
fn look(world: &World, id: &str) -> Value {
    let ran = world.run(&["job", id, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

#[track_caller]
fn wait_for_status(world: &World, id: &str, status: &str) {
    until(|| look(world, id)["status"] == status, || format!("{id} is not {status}"));
}

/// The processes that keep jobs of this world, with the jobs' ids.
fn keepers(world: &World) -> Vec<(u32, String)> {
    let config = format!("AGENT_DISPATCH_CONFIG={}", world.config_file().display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
        let Some((_, id)) = line.split_once("\0keep-job\0") else { continue };
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        if environment.split('\0').any(|variable| variable == config) {
            found.push((pid, id.trim_end_matches('\0').to_owned()));
        }
    }
    found
}

/// The process that keeps this job, once it does.
#[track_caller]
fn keeper_of(world: &World, id: &str) -> u32 {
    let mut found = None;
    let is_there = || {
        found = keepers(world).into_iter().find(|(_, job)| job == id).map(|(pid, _)| pid);
        found.is_some()
    };
    until(is_there, || format!("nobody keeps {id}"));
    found.expect("it is there")
}

/// Waits until nothing of any job of this world is left.
#[track_caller]
fn wait_for_no_job(world: &World) {
    until(|| keepers(world).is_empty(), || format!("{:?}", keepers(world)));
    world.wait_for_no_process();
}

#[track_caller]
fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a process"), signal).expect("it lives");
}

fn go(world: &World) {
    fs::write(world.path("go"), "").expect("a file");
}

fn folder(world: &World, id: &str) -> PathBuf {
    world.path("home/.local/state/agent-dispatch/jobs").join(id)
}

#[track_caller]
fn keys(value: &Value) -> String {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_job_is_started_looked_at_and_waited_for() {
    let world = World::with_agent("record\nsays 2 hello\nwait ../go\nanswer all is well");
    let mut client = Client::connect(&world);
    let question = json!({"agent": "infra", "task": "look", "context": "c", "caller": "me",
                          "goal": "g", "timeout_seconds": 50});
    let started = client.tool("dispatch_async", question);
    assert_eq!(keys(&started), "job_id status agent");
    let id = started["job_id"].as_str().expect("an id").to_owned();
    let status =
        |client: &mut Client, id: &str| client.tool("dispatch_status", json!({"job_id": id}));
    let mut job = Value::Null;
    until(
        || {
            job = status(&mut client, &format!("infra-{id}"));
            job["progress"].as_array().is_some_and(|lines| lines.len() == 2)
        },
        || "no progress".to_owned(),
    );
    let asked = "id agent task context caller goal status created_at started_at";
    assert_eq!(keys(&job), format!("{asked} progress progress_updated_at"));
    assert_eq!((&job["status"], &job["id"]), (&json!("running"), &json!(id)));
    assert_eq!(job["progress"], json!(["says: 1 hello", "says: 2 hello"]));
    let waited = client.tool("dispatch_wait", json!({"job_id": id, "timeout_seconds": 0}));
    assert_eq!(
        (&waited["timed_out_waiting"], &waited["status"]),
        (&json!(true), &json!("running"))
    );
    let listed = client.tool("dispatch_jobs", json!({"status": "RUNNING", "agent": "infra"}));
    assert_eq!(keys(&listed[0]), "id agent status task created_at started_at last_progress");
    assert_eq!(client.tool("dispatch_jobs", json!({"status": "done"})), json!([]));
    assert_eq!(client.tool("dispatch_jobs", json!({"agent": "other"})), json!([]));
    let error = client.tool("dispatch_jobs", json!({"status": "lost"}));
    assert!(error["error"].as_str().expect("an error").contains("cancelled, done, failed"));

    go(&world);
    let done = wait(&mut client, &id);
    assert_eq!(keys(&done), format!("{asked} completed_at result progress progress_updated_at"));
    assert_eq!(
        (&done["status"], &done["result"]["success"], &done["result"]["result"]),
        (&json!("done"), &json!(true), &json!("all is well"))
    );
    assert_eq!(done["result"]["cost_usd"], 0.25);
    let times = ["created_at", "started_at", "completed_at"];
    let times = times.map(|key| done[key].as_f64().expect("seconds"));
    assert!(times.is_sorted() && times[0] > 1.0e9, "{times:?}");
    assert_eq!(status(&mut client, &id), done);
    assert_eq!(look(&world, &format!("infra-{id}")), done);
    assert!(world.recorded("infra", "prompt").contains("look"));
    let listed = client.tool("dispatch_jobs", json!({}));
    assert_eq!(
        keys(&listed[0]),
        "id agent status task created_at started_at completed_at success cost_usd"
    );
    let ran = world.run(&["jobs", "--status", "done", "--json"]);
    assert_eq!(ran.json(), listed, "{ran:?}");
    let ran = world.run(&["jobs", "--limit", "1"]);
    assert!(ran.stdout.starts_with(&format!("{id}  infra  done")), "{ran:?}");
    wait_for_no_job(&world);
}

#[test]
fn a_job_that_is_forgotten_is_unknown() {
    let world = World::with_agent("answer x");
    let mut client = Client::connect(&world);
    let id = start(&mut client, "infra", "look");
    let done = wait(&mut client, &id);
    wait_for_no_job(&world);
    let gc = client.tool("dispatch_gc", json!({"dry_run": true}));
    assert_eq!(
        gc,
        json!({"dry_run": true, "purged": 0, "would_purge": 0, "job_ids": [], "max_age_days": 7.0})
    );
    let gc = client.tool("dispatch_gc", json!({"max_age_days": 1e-9, "dry_run": true}));
    assert_eq!((&gc["would_purge"], &gc["job_ids"]), (&json!(1), &json!([id])));
    for days in [json!(0), json!(-1), json!(1e300)] {
        let gc = client.tool("dispatch_gc", json!({"max_age_days": days}));
        assert!(gc["error"].as_str().is_some_and(|error| error.contains("max_age_days")), "{gc}");
    }
    assert_eq!(client.tool("dispatch_status", json!({"job_id": id})), done);
    let gc = client.tool("dispatch_gc", json!({"max_age_days": 1e-9}));
    assert_eq!(gc, json!({"purged": 1, "max_age_days": 1e-9}));
    for unknown in [id.as_str(), "nonsense"] {
        for tool in ["dispatch_status", "dispatch_wait", "dispatch_cancel"] {
            let answer = client.tool(tool, json!({"job_id": unknown}));
            assert!(answer["error"].is_string() && answer["hint"].is_string(), "{tool}: {answer}");
        }
        for command in ["job", "cancel"] {
            let ran = world.run(&[command, unknown]);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        }
    }
}

#[test]
fn a_job_outlives_its_server_and_anybody_can_wait_for_it() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer still here");
    let mut client = Client::connect(&world);
    let id = start(&mut client, "infra", "look");
    world.wait_for("there");
    client.signal(Signal::KILL);
    drop(client);
    let keeper = keeper_of(&world, &id);
    let stat = fs::read_to_string(format!("/proc/{keeper}/stat")).expect("a process");
    let fields = stat.rsplit_once(')').expect("a name").1;
    let group = fields.split_whitespace().nth(2).expect("a group");
    assert_eq!(group, keeper.to_string(), "it has a group of its own");
    assert_eq!(fs::read_link(format!("/proc/{keeper}/cwd")).expect("a folder"), PathBuf::from("/"));
    let mut other = Client::connect(&world);
    assert_eq!(other.tool("dispatch_status", json!({"job_id": id}))["status"], "running");
    other.begin("waits", "dispatch_wait", json!({"job_id": id, "timeout_seconds": 60}));
    go(&world);
    let waited = other.watch_on().1;
    assert_eq!(
        (&waited["status"], &waited["result"]["result"]),
        (&json!("done"), &json!("still here"))
    );
    assert_eq!(look(&world, &id), waited);
    wait_for_no_job(&world);
    assert!(!folder(&world, &id).exists(), "all of it is written down elsewhere");
}

#[test]
fn what_would_not_be_let_through_is_told_at_once_and_is_no_job() {
    let world = World::with_agent("count ../runs\nanswer x");
    let mut client = Client::connect(&world);
    let unknown = client.tool("dispatch_async", json!({"agent": "nobody", "task": "x"}));
    assert_eq!(unknown, client.tool("dispatch", json!({"agent": "nobody", "task": "x"})));
    let blank = client.call("dispatch_async", json!({"agent": "infra", "task": " "}));
    assert_eq!(blank["isError"], true);
    let mut command = world.command();
    command.arg("serve").env("AGENT_DISPATCH_DEPTH", "3");
    let mut deep = Client::spawn(&mut command, Streams::Sockets);
    deep.initialize();
    let refused = deep.tool("dispatch_async", json!({"agent": "infra", "task": "x"}));
    assert_eq!((&refused["success"], &refused["error_type"]), (&json!(false), &json!("recursion")));
    assert_eq!(client.tool("dispatch_jobs", json!({})), json!([]));
    assert_eq!(world.runs(), 0);
}

#[test]
fn jobs_neither_give_nor_get_answers_that_others_got() {
    let world = World::with_agent("count ../runs\nanswer x");
    let mut client = Client::connect(&world);
    client.tool("dispatch", json!({"agent": "infra", "task": "look"}));
    for runs in [2, 3] {
        let id = start(&mut client, "infra", "look");
        assert_eq!(wait(&mut client, &id)["result"].get("cached"), None);
        assert_eq!(world.runs(), runs);
    }
    wait_for_no_job(&world);
}

#[test]
fn what_an_agent_says_is_for_this_user_alone() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer x");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    let mode = |path: PathBuf| path.metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(folder(&world, "")), 0o700);
    assert_eq!(mode(folder(&world, &id)), 0o700);
    for file in ["lock", "call", "spool"] {
        assert_eq!(mode(folder(&world, &id).join(file)), 0o600, "{file}");
    }
    go(&world);
    wait_for_no_job(&world);
}

#[test]
fn without_a_store_there_is_no_job() {
    let world = World::with_agent("count ../runs\nanswer x");
    let state = world.path("home/.local/state/agent-dispatch");
    fs::create_dir_all(&state).expect("a folder");
    fs::write(state.join("store.sqlite"), "this is no database\n".repeat(1000)).expect("a file");
    let mut client = Client::connect(&world);
    for (tool, arguments) in [
        ("dispatch_async", json!({"agent": "infra", "task": "x"})),
        ("dispatch_jobs", json!({})),
        ("dispatch_gc", json!({})),
    ] {
        let answer = client.tool(tool, arguments);
        assert!(answer["error"].as_str().expect("an error").contains("is damaged"), "{answer}");
    }
    let id = "0".repeat(32);
    for arguments in [&["jobs"][..], &["job", &id], &["cancel", &id], &["gc"]] {
        let ran = world.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.json()["error"].as_str().expect("an error").contains("is damaged"), "{ran:?}");
    }
    assert_eq!(fs::read_dir(state.join("jobs")).expect("the folder").count(), 0);
    assert_eq!(world.runs(), 0);
    wait_for_no_job(&world);
}

#[test]
fn the_command_line_forgets_what_is_over_and_nothing_else() {
    let world = World::with_agent("wait ../go\nanswer x");
    let mut client = Client::connect(&world);
    let ids: Vec<String> = (0..2).map(|_| start(&mut client, "infra", "look")).collect();
    assert_eq!(world.run(&["gc", "--all"]).stdout, "0 jobs forgotten\n");
    go(&world);
    for id in &ids {
        wait(&mut client, id);
    }
    wait_for_no_job(&world);
    assert_eq!(world.run(&["gc"]).stdout, "0 jobs forgotten\n");
    let dry = world.run(&["gc", "--all", "--dry-run", "--json"]).json();
    assert_eq!(dry["job_ids"].as_array().map(Vec::len), Some(2), "{dry}");
    for wrong in ["0", "-1", "nan", "1e300"] {
        let ran = world.run(&["gc", &format!("--days={wrong}")]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
    }
    assert_eq!(world.run(&["gc", "--days", "0.000000001"]).stdout, "2 jobs forgotten\n");
    assert_eq!(client.tool("dispatch_jobs", json!({})), json!([]));
}

#[test]
fn the_config_says_how_long_jobs_are_kept() {
    let world = World::with_agent("answer x");
    let yaml = world.agents_yaml(&["infra"]);
    let mut client = Client::connect(&world);
    let old = start(&mut client, "infra", "look");
    wait(&mut client, &old);
    wait_for_no_job(&world);
    let store = world.path("home/.local/state/agent-dispatch/store.sqlite");
    let database = rusqlite::Connection::open(store).expect("the store");
    let older = "UPDATE job SET completed_ms = completed_ms - 86400000 * 3";
    assert_eq!(database.execute(older, []).expect("changed"), 1);
    world.config(&format!("{yaml}  job_retention_days: 2\n"));
    let new = start(&mut client, "infra", "look");
    let only_new = || {
        let listed = client.tool("dispatch_jobs", json!({}));
        listed.as_array().is_some_and(|jobs| jobs.len() == 1 && jobs[0]["id"] == new.as_str())
    };
    until(only_new, || "the old one is still there".to_owned());
    wait(&mut client, &new);
    wait_for_no_job(&world);
}
