//! How many runs go on at once, over all servers and commands.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use crate::support::mcp::{Client, Streams};
use crate::support::{BINARY, World, runner_of, until};

/// A world with a limit in which `infra` follows this script, and `other` answers.
fn world_with(limit: u32, script: &str) -> World {
    let world = World::with_agent(script);
    world.agent("other", "answer fine");
    set_limit(&world, limit);
    world
}

fn set_limit(world: &World, limit: u32) {
    let yaml = world.agents_yaml(&["infra", "other"]);
    world.config(&format!("{yaml}  max_concurrency: {limit}\n"));
}

fn begin(client: &mut Client, id: &str, agent: &str) {
    client.begin(id, "dispatch", json!({"agent": agent, "task": id}));
}

/// A command that dispatches, with its output to be read.
fn begin_command(world: &World, agent: &str) -> Child {
    let mut command = world.command();
    command.args(["dispatch", agent, "x", "--json"]).stdout(Stdio::piped());
    command.spawn().expect("the binary runs")
}

#[track_caller]
fn end_command(child: Child) -> Value {
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn go(world: &World) {
    fs::write(world.path("go"), "").expect("a file");
}

fn slots(world: &World, depth: u32) -> PathBuf {
    world.path(&format!("home/.local/state/agent-dispatch/slots/{depth}"))
}

/// What lies in the folder of slots.
fn names(world: &World, depth: u32) -> Vec<String> {
    let entries = fs::read_dir(slots(world, depth)).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Waits until so many processes wait for a slot.
#[track_caller]
fn wait_for_waiting(world: &World, count: usize) {
    let waiting = || names(world, 0).iter().filter(|name| name.starts_with("interactive-")).count();
    until(|| waiting() == count, || format!("{:?}", names(world, 0)));
}

/// Waits until nobody waits any more, and there are no more slots than these.
#[track_caller]
fn wait_for_only(world: &World, slots: &[&str]) {
    until(|| names(world, 0) == slots, || format!("{:?}", names(world, 0)));
}

/// Sends a signal to a process that is there.
fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("it lives");
    pidfd_send_signal(process, signal).expect("it lives");
}

/// Is a file of this folder open in that process?
fn has_open(process: u32, folder: &PathBuf) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("the process").flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file.starts_with(folder))
}

#[test]
fn servers_and_commands_share_the_limit() {
    for (limit, used) in [
        (1, "take ../turn\nPAUSE\ngive-back ../turn"),
        (2, "take-one-of 2 ../turn\nPAUSE\ngive-back-one"),
    ] {
        // The first ones are there together, and wait until all others are in the queue.
        let together = format!("meet {limit} ../here\ntouch ../here/all\nwait ../go");
        let world = world_with(limit, &format!("{}\nanswer ok", used.replace("PAUSE", &together)));
        let mut clients = [Client::connect(&world), Client::connect(&world)];
        for (number, client) in clients.iter_mut().enumerate() {
            for call in 0..5 {
                begin(client, &format!("{number}-{call}"), "infra");
            }
        }
        world.wait_for("here/all");
        wait_for_waiting(&world, 2);
        let commands = [(); 2].map(|()| begin_command(&world, "infra"));
        wait_for_waiting(&world, 4);
        go(&world);
        for client in &mut clients {
            for (id, reply) in client.finish(5) {
                assert_eq!(reply["result"], "ok", "{limit}, {id}: {reply}");
            }
        }
        for command in commands {
            assert_eq!(end_command(command)["result"], "ok");
        }
        let slots: Vec<String> = (0..limit).map(|slot| slot.to_string()).collect();
        wait_for_only(&world, &slots.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn chains_of_depth_three_finish_at_a_limit_of_one() {
    let world = World::new();
    let alone = |name: &str, step: &str| {
        world.agent(
            name,
            &format!("take ../{name}-turn\n{step}\ngive-back ../{name}-turn\nanswer ok"),
        );
    };
    alone("first", &format!("run {BINARY} dispatch second x --fresh"));
    alone("second", &format!("run {BINARY} dispatch third x --fresh"));
    alone("third", "count ../runs");
    let yaml = world.agents_yaml(&["first", "second", "third"]);
    world.config(&format!("{yaml}  max_concurrency: 1\n"));
    let mut clients = [Client::connect(&world), Client::connect(&world)];
    for client in &mut clients {
        begin(client, "one", "first");
        begin(client, "two", "first");
    }
    for client in &mut clients {
        for (id, reply) in client.finish(2) {
            assert_eq!(reply["result"], "ok", "{id}: {reply}");
        }
    }
    assert_eq!(world.runs(), 4);
}

#[test]
fn an_agent_that_asks_four_at_once_finishes_at_a_limit_of_one() {
    let world = World::new();
    let outer = world.agent("outer", "run sh ask-four\nanswer ok");
    let four = format!("for n in 1 2 3 4; do {BINARY} dispatch inner $n & done; wait");
    fs::write(outer.join("ask-four"), four).expect("a script");
    world.agent("inner", "take ../turn\ncount ../runs\ngive-back ../turn\nanswer ok");
    let yaml = world.agents_yaml(&["outer", "inner"]);
    world.config(&format!("{yaml}  max_concurrency: 1\n"));
    let mut client = Client::connect(&world);
    begin(&mut client, "outer", "outer");
    assert_eq!(client.finish(1)["outer"]["result"], "ok");
    assert_eq!(world.runs(), 4);
    assert_eq!((names(&world, 0), names(&world, 1)), (vec!["0".to_owned()], vec!["0".to_owned()]));
}

#[test]
fn the_runner_has_the_slot_and_the_agent_has_not() {
    let world = world_with(1, "meet 1 ../here\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    begin(&mut client, "run", "infra");
    let agent =
        || fs::read_dir(world.path("here")).ok()?.next()?.ok()?.file_name().into_string().ok();
    until(|| agent().is_some(), || "no agent".to_owned());
    let agent = agent().and_then(|pid| pid.parse().ok()).expect("a process");
    let folder = slots(&world, 0);
    let runner = runner_of(client.pid()).expect("a runner");
    assert_eq!(
        [client.pid(), runner, agent].map(|pid| has_open(pid, &folder)),
        [true, true, false]
    );
    go(&world);
    assert_eq!(client.finish(1)["run"]["result"], "ok");
    assert_eq!([client.pid(), runner].map(|pid| has_open(pid, &folder)), [false, false]);
}

#[test]
fn a_killed_server_or_runner_frees_its_slot() {
    for killed in ["server", "runner", "both"] {
        let world = world_with(1, "touch ../runs-now\nwait ../go\nanswer ok");
        let mut client = Client::connect(&world);
        begin(&mut client, "killed", "infra");
        world.wait_for("runs-now");
        let mut waits = Client::connect(&world);
        begin(&mut waits, "next", "other");
        wait_for_waiting(&world, 1);
        let (server, runner) = (client.pid(), runner_of(client.pid()).expect("a runner"));
        let processes = match killed {
            "server" => vec![server],
            "runner" => vec![runner],
            _ => vec![server, runner],
        };
        // Neither may see the other's end.
        for signal in [Signal::STOP, Signal::KILL] {
            for pid in &processes {
                send(*pid, signal);
            }
        }
        let reply = &waits.finish(1)["next"];
        assert_eq!(reply["result"], "fine", "{killed}: {reply}");
        wait_for_only(&world, &["0"]);
        go(&world);
        world.wait_for_no_process();
    }
}

#[test]
fn who_is_killed_or_cancelled_while_it_waits_holds_up_nobody() {
    let world = world_with(1, "touch ../runs-now\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    begin(&mut client, "first", "infra");
    world.wait_for("runs-now");
    let mut cancelled = Client::connect(&world);
    begin(&mut cancelled, "cancelled", "other");
    wait_for_waiting(&world, 1);
    let mut killed = begin_command(&world, "other");
    wait_for_waiting(&world, 2);
    let next = begin_command(&world, "other");
    wait_for_waiting(&world, 3);
    cancelled.cancel("cancelled");
    killed.kill().expect("it waits");
    killed.wait().expect("it is gone");
    wait_for_waiting(&world, 1);
    go(&world);
    assert_eq!(end_command(next)["result"], "fine");
    assert_eq!(client.finish(1)["first"]["result"], "ok");
    begin(&mut cancelled, "again", "other");
    assert_eq!(cancelled.finish(1)["again"]["result"], "fine");
    wait_for_only(&world, &["0"]);
}

#[test]
fn one_that_was_stopped_while_it_waits_does_not_keep_slots_from_others() {
    let world = world_with(1, "touch ../runs-now\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    begin(&mut client, "first", "infra");
    world.wait_for("runs-now");
    let mut stopped = Client::connect(&world);
    begin(&mut stopped, "stopped", "other");
    wait_for_waiting(&world, 1);
    let next = begin_command(&world, "other");
    wait_for_waiting(&world, 2);
    stopped.signal(Signal::STOP);
    go(&world);
    assert_eq!(end_command(next)["result"], "fine");
    stopped.signal(Signal::CONT);
    assert_eq!(stopped.finish(1)["stopped"]["result"], "fine");
    assert_eq!(client.finish(1)["first"]["result"], "ok");
}

#[test]
fn a_raised_limit_reaches_those_who_wait_already() {
    let world = world_with(1, "touch ../runs-now\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    begin(&mut client, "first", "infra");
    world.wait_for("runs-now");
    let mut waits = Client::connect(&world);
    begin(&mut waits, "next", "other");
    wait_for_waiting(&world, 1);
    set_limit(&world, 2);
    assert_eq!(waits.finish(1)["next"]["result"], "fine");
    go(&world);
    assert_eq!(client.finish(1)["first"]["result"], "ok");
}

#[test]
fn an_answer_that_is_at_hand_takes_no_slot() {
    let world = world_with(1, "touch ../runs-now\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    let question = json!({"agent": "other", "task": "x"});
    client.tool("dispatch", question.clone());
    begin(&mut client, "first", "infra");
    world.wait_for("runs-now");
    assert_eq!(client.tool("dispatch", question)["cached"], true);
    assert_eq!(names(&world, 0), ["0"]);
    go(&world);
    assert_eq!(client.finish(1)["first"]["result"], "ok");
}

#[test]
fn without_a_state_folder_each_server_has_the_limit_to_itself_and_says_so_once() {
    let world = world_with(1, "take ../turn\ngive-back ../turn\nanswer ok");
    fs::create_dir_all(world.path("home/.local")).expect("a folder");
    fs::write(world.path("home/.local/state"), "in the way").expect("a file");
    let log = fs::File::create(world.path("log")).expect("a file");
    let mut client = Client::spawn(world.command().arg("serve").stderr(log), Streams::Sockets);
    client.initialize();
    for call in 0..5 {
        begin(&mut client, &call.to_string(), "infra");
    }
    for (id, reply) in client.finish(5) {
        assert_eq!(reply["result"], "ok", "{id}: {reply}");
    }
    assert!(client.close().success());
    let log = fs::read_to_string(world.path("log")).expect("the log");
    assert_eq!(log.matches("max_concurrency holds for this one alone").count(), 1, "{log}");
}
