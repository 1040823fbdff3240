//! The figures that agent-dispatch promises, each beside its floor: what the same
//! thing costs without it, measured in the same run and in turns.
//!
//! `cargo bench` prints them, `cargo bench --bench figures -- edit` those whose name has
//! that in it. They are medians; on a noisy machine look at the
//! ratios, not at the milliseconds.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

mod bare;
mod foreign;
mod forms;
mod job;
mod journal;
mod print;
mod shared;
mod slots;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_dispatch::policy::prompt::{Agent, Request};
use agent_dispatch::policy::{ComponentSource, Host, Limits, Source};
use print::{figure, row, time};
use serde_json::json;
use support::mcp::{Client, Streams};
use support::{BINARY, World, fake_agent, runner_of};

const STARTS: usize = 200;
const CALLS: usize = 2000;
const DISPATCHES: usize = 300;
const FIRSTS: usize = 11;
const IDENTICAL: u64 = 64;
const LISTS: usize = 200;
const EDITS: usize = 50;

fn main() {
    if std::env::args().nth(1).as_deref() == Some(bare::NAME) {
        return bare::serve();
    }
    println!("{:58} {:>12} {:>12} {:>12}", "medians", "measured", "floor", "over");
    let wanted = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let groups: [(&str, fn()); 19] = [
        ("start", start),
        ("memory", memory),
        ("policy_call", policy_call),
        ("foreign", foreign::foreign),
        ("dispatch", dispatch),
        ("cached_dispatch", cached_dispatch),
        ("slot", slots::freed_slot),
        ("identical_calls", identical_calls),
        ("first_dispatch", first_dispatch),
        ("list_agents", list_agents),
        ("edit_config", edit_config),
        ("parallel_at_once", forms::parallel_at_once),
        ("parallel_in_turns", forms::parallel_in_turns),
        ("stream", forms::stream),
        ("large_result", forms::large_result),
        ("job", job::job),
        ("journal", journal::journal),
        ("shared", shared::shared),
        ("store", shared::store_of_many),
    ];
    for (name, measure) in groups {
        if wanted.as_deref().is_none_or(|wanted| name.contains(wanted)) {
            measure();
        }
    }
}

/// From spawning a server to its answer to `tools/list`. Floor: a bare server.
fn start() {
    let world = World::with_agent("answer ok");
    for (name, streams) in [("sockets", Streams::Sockets), ("pipes", Streams::Pipes)] {
        let (mut measured, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            measured.push(time(|| list_tools(Client::start(&world, streams))));
            floor.push(time(|| list_tools(bare::start(&world, streams))));
        }
        row(&format!("spawn → tools/list over {name}, ms"), measured, Some(floor));
    }
}

fn list_tools(mut client: Client) -> Client {
    client.initialize();
    client.request("tools/list", json!({}));
    client
}

/// Proportional set size of a server.
fn memory() {
    let world = World::with_agent("answer ok");
    let bare = list_tools(bare::start(&world, Streams::Pipes));
    figure("memory of a bare server after tools/list, PSS, MiB", proportional_set_size(bare.pid()));
    let mut client = list_tools(Client::start(&world, Streams::Sockets));
    figure("memory after tools/list, PSS, MiB", proportional_set_size(client.pid()));
    for number in 0..100 {
        client.tool("dispatch", json!({"agent": "infra", "task": format!("task {number}")}));
    }
    figure("memory after 100 dispatches, PSS, MiB", proportional_set_size(client.pid()));
    let runner = runner_of(client.pid());
    figure("… and of its runner, PSS, MiB", runner.map_or(f64::NAN, proportional_set_size));
}

/// One `render` of the built-in policies, a fresh instance each. Floor: handing
/// nothing to another thread and back, which a call off the reactor cannot avoid.
fn policy_call() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let host = Arc::new(Host::new(BINARY.into(), world.path("components")));
    for name in ["classic", "xml"] {
        let source = Source {
            name: name.to_owned(),
            component: ComponentSource::BuiltIn(name.to_owned()),
            config: "{}".to_owned(),
            limits: Limits::default(),
        };
        let (measured, floor) = runtime.block_on(async {
            let prompt = host.prompt(&source).await.expect("the policy loads");
            let (mut measured, mut floor) = (Vec::new(), Vec::new());
            for _ in 0..CALLS {
                let begin = Instant::now();
                prompt.render(&request()).await.expect("it renders");
                measured.push(begin.elapsed() * 1000);
                let begin = Instant::now();
                tokio::task::spawn_blocking(|| ()).await.expect("it returns");
                floor.push(begin.elapsed() * 1000);
            }
            (measured, floor)
        });
        row(&format!("one call of policy {name}, µs"), measured, Some(floor));
    }
}

fn request() -> Request {
    Request {
        agent: Agent {
            name: "infra".into(),
            directory: "/infra".into(),
            description: None,
            capabilities: Vec::new(),
            instructions: None,
            facts: Vec::new(),
        },
        task: "Check container logs for recent errors".into(),
        context: Some("Error: TypeError at scheduler.py:42".into()),
        caller: Some("backend".into()),
        goal: Some("debug production crash".into()),
        shared_context: None,
        answer_format: "text".into(),
        timeout_seconds: 300,
        spend_cap_usd: None,
        depth: 0,
        resumed: false,
        facts: Vec::new(),
    }
}

/// A dispatch over MCP that nothing is cached of. Floor: spawning the same child,
/// giving it its prompt, reading what it says and reaping it.
fn dispatch() {
    let world = World::with_agent("answer ok");
    let mut client = Client::connect(&world);
    let mut once = |number: usize| {
        client.tool("dispatch", json!({"agent": "infra", "task": format!("task {number}")}))
    };
    once(DISPATCHES);
    let (mut measured, mut floor) = (Vec::new(), Vec::new());
    for number in 0..DISPATCHES {
        measured.push(time(|| once(number)));
        floor.push(time(|| spawn_bare(&world)));
    }
    row("uncached dispatch, ms", measured, Some(floor));
}

/// The same dispatch again. Floor: a call of a tool that does nothing.
fn cached_dispatch() {
    let world = World::with_agent("answer ok");
    // Within two seconds of its last change a file has to be read to know it.
    std::thread::sleep(Duration::from_secs(3));
    let mut client = Client::connect(&world);
    let mut bare = bare::start(&world, Streams::Pipes);
    bare.initialize();
    let question = json!({"agent": "infra", "task": "the same"});
    client.tool("dispatch", question.clone());
    let (mut measured, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        measured.push(time(|| client.call("dispatch", question.clone())));
        floor.push(time(|| bare.call("one", json!({}))));
    }
    assert_eq!(client.tool("dispatch", question)["cached"], true);
    row("cached dispatch, ms", measured, Some(floor));
}

/// Many who ask the same while it is being asked.
fn identical_calls() {
    let world = World::with_agent("count ../runs\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    for id in 1001..=1000 + IDENTICAL {
        client.begin(&id.to_string(), "dispatch", json!({"agent": "infra", "task": "the same"}));
    }
    // Each is told that its agent works, then each gets the answer.
    let mut receive = |count| (0..count).for_each(|_| drop(client.receive()));
    receive(IDENTICAL);
    fs::write(world.path("go"), "").expect("a file");
    receive(IDENTICAL);
    let runs = fs::read_to_string(world.path("runs")).expect("the agent ran").lines().count();
    println!("{:58} {runs:12}", format!("processes for {IDENTICAL} identical calls"));
}

fn spawn_bare(world: &World) -> String {
    let mut child = Command::new(fake_agent())
        .current_dir(world.path("infra"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the fake agent runs");
    child.stdin.take().expect("its input").write_all(b"task").expect("it reads");
    let (mut output, mut errors) = (String::new(), String::new());
    child.stdout.take().expect("its output").read_to_string(&mut output).expect("it writes");
    child.stderr.take().expect("its errors").read_to_string(&mut errors).expect("it writes");
    assert!(child.wait().expect("it ends").success());
    output
}

/// The first dispatch on a machine: the runner is started, the policy compiled.
fn first_dispatch() {
    for (name, writable) in [("", true), (", cache folder not writable", false)] {
        let measured = (0..FIRSTS).map(|_| {
            let world = World::with_agent("answer ok");
            if !writable {
                fs::create_dir_all(world.cache().parent().expect("a parent")).expect("a folder");
                fs::write(world.cache(), "in the way").expect("a file");
            }
            let mut client = Client::connect(&world);
            time(|| client.tool("dispatch", json!({"agent": "infra", "task": "x"})))
        });
        row(&format!("first dispatch ever{name}, ms"), measured.collect(), None);
    }
}

/// `list_agents`, every directory looked at. Floor: a tool of the bare server.
fn list_agents() {
    for agents in [3, 1000] {
        let world = world_of(agents);
        let mut client = list_tools(Client::start(&world, Streams::Sockets));
        let mut bare = list_tools(bare::start(&world, Streams::Sockets));
        let (mut measured, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..LISTS {
            measured.push(time(|| client.call("list_agents", json!({}))));
            floor.push(time(|| bare.call("one", json!({}))));
        }
        row(&format!("list_agents with {agents} agents, ms"), measured, Some(floor));
    }
}

/// One agent added to a thousand, and taken out again, each a durable edit of the file.
/// Floor: writing a file of that size durably.
fn edit_config() {
    let world = world_of(1000);
    let text = fs::read(world.config_file()).expect("the config");
    let mut client = list_tools(Client::start(&world, Streams::Sockets));
    let project = world.agent("project", "answer ok");
    let (mut adding, mut removing) = (Vec::new(), Vec::new());
    let (mut floor, mut floor_again) = (Vec::new(), Vec::new());
    for _ in 0..EDITS {
        let wanted =
            json!({"name": "new", "directory": project, "description": "the thousand-first"});
        let mut edit = |tool: &str, arguments| {
            time(|| {
                let answer = client.tool(tool, arguments);
                assert!(answer.get("error").is_none(), "{answer}");
            })
        };
        adding.push(edit("add_agent", wanted));
        removing.push(edit("remove_agent", json!({"name": "new"})));
        for floor in [&mut floor, &mut floor_again] {
            floor.push(time(|| write_durably(&world, &text)));
        }
    }
    row("add_agent with 1000 agents, ms", adding, Some(floor));
    row("remove_agent with 1001 agents, ms", removing, Some(floor_again));
}

fn write_durably(world: &World, text: &[u8]) {
    let mut file = fs::File::create(world.path("next")).expect("a file");
    file.write_all(text).expect("room");
    file.sync_all().expect("a disk");
    fs::rename(world.path("next"), world.path("last")).expect("in its place");
}

/// A world with so many agents, each in a directory of its own.
fn world_of(agents: usize) -> World {
    let world = World::new();
    let names: Vec<String> = (0..agents).map(|number| format!("agent-{number}")).collect();
    for name in &names {
        let directory = world.agent(name, "answer ok");
        fs::write(directory.join("CLAUDE.md"), "An agent.\n").expect("a file");
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let yaml = world.agents_yaml(&names);
    let described =
        "    description: One of many agents, good for one thing or another\n    directory:";
    world.config(&yaml.replace("    directory:", described));
    world
}

fn proportional_set_size(pid: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

/// The same calls of two servers, in turns.
pub(crate) fn in_turns(
    name: &str,
    clients: &mut [Client; 2],
    times: usize,
    call: impl Fn(usize) -> (&'static str, serde_json::Value),
) {
    let mut samples = [Vec::new(), Vec::new()];
    for number in 0..times {
        for (client, samples) in clients.iter_mut().zip(&mut samples) {
            let (tool, arguments) = call(number);
            samples.push(time(|| client.call(tool, arguments)));
        }
    }
    let [measured, floor] = samples;
    row(name, measured, Some(floor));
}
