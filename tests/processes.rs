//! What descends from a run, and that nothing of it survives the run's end,
//! whatever it does and whichever way the run ends.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, prlimit,
};
use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::{BINARY, World, until};

mod kept;

/// Only guards against hanging.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// A daemon that nothing but its tag gives away.
const HIDDEN: &str =
    "leave daemon double-fork new-session no-environment no-descriptors ignores-term";

/// Agents by what they do before their work, all with a `daemon`.
const SURVIVORS: [(&str, &str); 12] = [
    ("plain", "leave daemon plain"),
    ("orphan", "leave daemon double-fork"),
    ("session", "leave daemon new-session"),
    ("bare", "leave daemon no-environment"),
    ("silent", "leave daemon no-descriptors"),
    ("deaf", "leave daemon ignores-term"),
    ("hidden", HIDDEN),
    ("stopped", "leave daemon stopped"),
    ("hydra", "leave daemon forks-on-term"),
    (
        "hidden-hydra",
        "leave daemon double-fork new-session no-environment no-descriptors forks-on-term",
    ),
    ("deaf-leader", "ignore-term\nleave daemon ignores-term"),
    ("two", "leave other new-session\nleave daemon double-fork no-environment ignores-term"),
];

/// Its leader does not end by itself.
const STOPPED_LEADER: (&str, &str) = ("stopped-leader", "leave daemon plain\nsignal STOP");

/// Every survivor's run at once, each with its daemon, until `end` is there.
struct Scene {
    world: World,
    client: Client,
    agents: Vec<&'static str>,
}

impl Scene {
    fn new(survivors: &[(&'static str, &str)], timeout: u32) -> Self {
        let world = World::new();
        let agents: Vec<&str> = survivors.iter().map(|(name, _)| *name).collect();
        for (name, steps) in survivors {
            world.agent(name, &format!("{steps}\nwait ../end\nanswer done"));
        }
        world.config(&format!(
            "{}  max_concurrency: 30\n  default_timeout: {timeout}\n",
            world.agents_yaml(&agents)
        ));
        let mut client = Client::connect(&world);
        for agent in &agents {
            begin(&mut client, agent);
        }
        for agent in &agents {
            world.wait_for(&format!("{agent}/daemon"));
            assert_daemon_is_seen(&world, agent);
        }
        Self { world, client, agents }
    }

    /// All survivors there are, and time enough.
    fn of_all() -> Self {
        Self::new(&[SURVIVORS.as_slice(), &[STOPPED_LEADER]].concat(), 600)
    }

    fn replies(&mut self) -> Vec<Value> {
        self.client.finish(self.agents.len()).into_values().collect()
    }
}

/// That nothing is found later means something only if it was found before.
#[track_caller]
fn assert_daemon_is_seen(world: &World, agent: &str) {
    let file = world.path(agent).join("daemon");
    let file = file.to_str().expect("UTF-8");
    let all = world.processes();
    assert!(all.iter().any(|process| process.contains(file)), "{agent}: {all:#?}");
}

fn begin(client: &mut Client, agent: &str) {
    client.begin(agent, "dispatch", json!({"agent": agent, "task": "x"}));
}

/// A process that is looked at, and no other that gets its number.
struct Process(OwnedFd);

impl Process {
    fn new(pid: u32) -> Self {
        let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
        Self(pidfd_open(pid, PidfdFlags::empty()).expect("it lives"))
    }

    fn send(&self, signal: Signal) {
        pidfd_send_signal(&self.0, signal).expect("it lives");
    }

    #[track_caller]
    fn wait_for_end(&self) {
        let ended = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PATIENCE));
        assert_eq!(ended, Ok(1), "it does not end");
    }
}

/// The runner of this server.
#[track_caller]
fn runner_of(server: u32) -> u32 {
    crate::support::runner_of(server).expect("a runner")
}

#[test]
fn a_normal_end_leaves_nothing() {
    let mut scene = Scene::new(&SURVIVORS, 600);
    fs::write(scene.world.path("end"), "").expect("a file");
    for reply in scene.replies() {
        assert_eq!(
            (&reply["success"], &reply["result"]),
            (&json!(true), &json!("done")),
            "{reply}"
        );
    }
    scene.world.wait_for_no_process();
}

#[test]
fn a_process_that_is_never_the_same_for_long_does_not_outrun_the_end() {
    let script = "leave daemon double-fork no-environment no-descriptors ignores-term relay";
    let world = World::with_agent(&format!("{script}\nanswer done"));
    // Whoever looks for it may miss it. A pipe tells when the last that holds it is gone.
    let pipe = world.path("infra/daemon.held");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
    let pipe = open(&pipe, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).expect("the pipe");
    assert_eq!(world.run(&["dispatch", "infra", "x"]).stdout, "done\n");
    let ended = poll(&mut [PollFd::new(&pipe, PollFlags::HUP)], Some(&PATIENCE));
    assert_eq!(ended, Ok(1), "it goes on");
    world.wait_for_no_process();
}

#[test]
fn a_timeout_leaves_nothing_when_it_is_told() {
    // Time enough for all of them to be there on a busy machine.
    let mut scene = Scene::new(&[SURVIVORS.as_slice(), &[STOPPED_LEADER]].concat(), 5);
    for reply in scene.replies() {
        assert_eq!(reply["error_type"], "timeout", "{reply}");
    }
    assert_eq!(scene.world.processes(), Vec::<String>::new());
}

#[test]
fn a_cancelled_call_leaves_nothing() {
    let mut scene = Scene::of_all();
    for agent in &scene.agents {
        scene.client.cancel(agent);
    }
    scene.world.wait_for_no_process();
    let agents = scene.client.tool("list_agents", json!({}));
    assert_eq!(agents.as_array().map(Vec::len), Some(scene.agents.len()), "the server goes on");
}

#[test]
fn a_closed_input_leaves_nothing() {
    let scene = Scene::of_all();
    let runner = Process::new(runner_of(scene.client.pid()));
    assert!(scene.client.close().success());
    scene.world.wait_for_no_process();
    runner.wait_for_end();
}

#[test]
fn a_server_that_is_asked_to_end_leaves_nothing() {
    let scene = Scene::of_all();
    let (server, runner) = server_and_runner(&scene);
    server.send(Signal::TERM);
    server.wait_for_end();
    scene.world.wait_for_no_process();
    runner.wait_for_end();
}

#[test]
fn a_server_that_is_killed_leaves_nothing() {
    let scene = Scene::of_all();
    let (server, runner) = server_and_runner(&scene);
    server.send(Signal::KILL);
    scene.world.wait_for_no_process();
    runner.wait_for_end();
}

#[test]
fn a_runner_that_is_killed_leaves_nothing_and_the_next_run_has_another() {
    let mut scene = Scene::of_all();
    let (_, runner) = server_and_runner(&scene);
    runner.send(Signal::KILL);
    for reply in scene.replies() {
        assert_eq!(reply["error_type"], "lost", "{reply}");
        assert!(reply["error"].as_str().is_some_and(|error| error.contains("died")), "{reply}");
    }
    assert_eq!(scene.world.processes(), Vec::<String>::new());
    fs::write(scene.world.path("end"), "").expect("a file");
    let reply = scene.client.tool("dispatch", json!({"agent": "plain", "task": "again"}));
    assert_eq!(reply["result"], "done", "{reply}");
}

fn server_and_runner(scene: &Scene) -> (Process, Process) {
    let server = scene.client.pid();
    (Process::new(server), Process::new(runner_of(server)))
}

#[test]
fn the_end_of_one_run_leaves_the_daemons_of_another_alone() {
    for is_cancelled in [false, true] {
        let world = World::new();
        for (agent, end) in [("one", "../end-one"), ("other", "../end-other")] {
            world.agent(agent, &format!("{HIDDEN}\nwait {end}\nanswer done"));
        }
        world.config(&world.agents_yaml(&["one", "other"]));
        let mut client = Client::connect(&world);
        for agent in ["one", "other"] {
            begin(&mut client, agent);
            world.wait_for(&format!("{agent}/daemon"));
            assert_daemon_is_seen(&world, agent);
        }
        for agent in ["one", "other"] {
            if is_cancelled {
                client.cancel(agent);
            } else {
                fs::write(world.path(&format!("end-{agent}")), "").expect("a file");
                assert_eq!(client.finish(1)[agent]["result"], "done");
            }
            world.wait_for_no_process_of(agent);
            if agent == "one" {
                assert_daemon_is_seen(&world, "other");
            }
        }
        world.wait_for_no_process();
    }
}

#[test]
fn a_runner_that_was_stopped_is_replaced_and_leaves_nothing() {
    let world = World::with_agent("stop-parent\nhang");
    world.agent("other", "answer fine");
    let yaml = world.agents_yaml(&["infra", "other"]);
    world.config(&yaml.replace("  other:", "    timeout: 1\n  other:"));
    let mut client = Client::connect(&world);
    let reply = client.tool("dispatch", json!({"agent": "infra", "task": "x"}));
    assert_eq!(reply["error_type"], "timeout", "{reply}");
    let reply = client.tool("dispatch", json!({"agent": "other", "task": "x"}));
    assert_eq!(reply["result"], "fine", "{reply}");
    world.wait_for_no_process();
}

#[test]
fn what_took_its_tag_off_ends_with_the_last_run() {
    let ways = "double-fork new-session no-limits no-environment no-descriptors ignores-term";
    for end in ["answer done", "hang"] {
        let world = World::new();
        world.agent("one", &format!("leave daemon {ways}\n{end}"));
        world.config(&world.agents_yaml(&["one"]));
        let mut client = Client::connect(&world);
        begin(&mut client, "one");
        world.wait_for("one/daemon");
        if end == "hang" {
            assert_daemon_is_seen(&world, "one");
            client.cancel("one");
        } else {
            assert_eq!(client.finish(1)["one"]["result"], "done");
        }
        world.wait_for_no_process();
        client.tool("list_agents", json!({}));
    }
}

#[test]
fn where_limits_cannot_carry_a_tag_the_mark_remains() {
    let world = World::new();
    let agents = ["plain", "orphan", "session", "silent", "deaf"];
    for (agent, steps) in SURVIVORS.iter().filter(|(name, _)| agents.contains(name)) {
        world.agent(agent, &format!("{steps}\nhang"));
    }
    world.config(&world.agents_yaml(&agents));
    let mut client = Client::connect(&world);
    let server = Pid::from_raw(client.pid().cast_signed());
    for resource in [Resource::Rttime, Resource::Locks] {
        let low = Rlimit { current: Some(1_000_000), maximum: Some(1_000_000) };
        prlimit(server, resource, low).expect("a lower limit");
    }
    for agent in agents {
        begin(&mut client, agent);
        world.wait_for(&format!("{agent}/daemon"));
        assert_daemon_is_seen(&world, agent);
    }
    // Without its parent an orphan is told by its mark alone.
    Process::new(runner_of(client.pid())).send(Signal::KILL);
    world.wait_for_no_process();
}

/// An agent that asks another, which leaves a daemon and goes on.
fn nested(daemon: &str, timeout: u32) -> World {
    let world = World::new();
    world.agent("outer", &format!("run {BINARY} dispatch inner task"));
    world.agent("inner", &format!("{daemon}\nhang"));
    let yaml = world.agents_yaml(&["outer", "inner"]);
    world.config(&format!("{yaml}  default_timeout: {timeout}\n"));
    world
}

#[test]
fn a_run_within_a_run_ends_with_it() {
    let hydra = "leave daemon double-fork new-session no-environment no-descriptors forks-on-term";
    for daemon in [HIDDEN, hydra] {
        let world = nested(daemon, 5);
        let mut client = Client::connect(&world);
        begin(&mut client, "outer");
        world.wait_for("inner/daemon");
        assert_daemon_is_seen(&world, "inner");
        let reply = &client.finish(1)["outer"];
        assert_eq!(reply["error_type"], "timeout", "{reply}");
        assert_eq!(world.processes(), Vec::<String>::new());
    }
}

#[test]
fn what_an_inner_run_lost_with_its_server_and_runner_ends_with_the_outer_run() {
    let world = nested(HIDDEN, 600);
    world.agent("outer", &format!("run {BINARY} dispatch inner task\ntouch done\nhang"));
    let mut client = Client::connect(&world);
    begin(&mut client, "outer");
    world.wait_for("inner/daemon");
    let server = process_with(&world, &format!("{BINARY} dispatch inner task "));
    let runner = runner_of(server);
    let (server, runner) = (Process::new(server), Process::new(runner));
    // Neither may see the other's end.
    for signal in [Signal::STOP, Signal::KILL] {
        server.send(signal);
        runner.send(signal);
    }
    world.wait_for("outer/done");
    runner.wait_for_end();
    assert_daemon_is_seen(&world, "inner");
    client.cancel("outer");
    world.wait_for_no_process();
}

/// The id of the process of this world with this command line.
fn process_with(world: &World, command: &str) -> u32 {
    let mut found = None;
    until(
        || {
            let entries = fs::read_dir("/proc").expect("/proc").flatten();
            let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            found = pids.into_iter().find(|pid: &u32| {
                let read = |name| {
                    let text = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
                    String::from_utf8_lossy(&text).replace('\0', " ")
                };
                let home = format!("HOME={} ", world.path("home").display());
                read("cmdline") == command && read("environ").contains(&home)
            });
            found.is_some()
        },
        || format!("no {command}"),
    );
    found.expect("just found")
}
