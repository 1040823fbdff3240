//! What calls meet that are on while a component is replaced.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::hostile::guest::Guest;
use crate::support::World;
use crate::support::mcp::Client;

/// A prompt policy that writes the first so many bytes of `hello, a line that is logged`, and
/// puts the same in the place of the answer.
fn says(bytes: u32) -> Vec<u8> {
    let first = format!(
        "(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const {bytes})) (i32.const 1024)"
    );
    let interpret = format!(
        "(i32.store (i32.const 4104) (i32.const 2)) (i32.store (i32.const 4112) (i32.const 2048)) (i32.store (i32.const 4116) (i32.const {bytes})) (i32.const 4096)"
    );
    Guest { first, interpret, ..Guest::prompt() }.build()
}

const ONE: &str = "hello";
const TWO: &str = "hello, a line";

fn components() -> [Vec<u8>; 2] {
    [ONE, TWO].map(|text| says(u32::try_from(text.len()).expect("short")))
}

fn put(world: &World, component: &[u8]) {
    let next = world.path("next.wasm");
    fs::write(&next, component).expect("a component");
    fs::rename(next, world.path("house.wasm")).expect("in its place");
}

/// A world whose agents have the policy `house`.
fn world(agents: &[&str], script: &str) -> World {
    let world = World::new();
    for agent in agents {
        world.agent(agent, script);
    }
    world.config(&format!(
        "{}  policies: {{prompt: house}}\npolicies:\n  house: {{component: ./house.wasm, limits: {{timeout_ms: 60000}}}}\n",
        world.agents_yaml(agents)
    ));
    world
}

#[test]
fn a_dispatch_that_is_on_ends_with_the_component_that_it_began_with() {
    let world = world(&["infra"], "record\ntouch ../began\nwait ../go\nanswer x");
    let [one, two] = components();
    put(&world, &one);
    let mut client = Client::connect(&world);
    client.begin("first", "dispatch", json!({"agent": "infra", "task": "look"}));
    world.wait_for("began");
    put(&world, &two);
    fs::write(world.path("go"), "").expect("a file");
    let first = client.finish(1).remove("first").expect("an answer");
    assert_eq!(
        (first["result"].as_str(), world.recorded("infra", "prompt").as_str()),
        (Some(ONE), ONE)
    );
    // What the earlier component had made of it is not given again.
    let second = client.tool("dispatch", json!({"agent": "infra", "task": "look"}));
    assert_eq!(
        (second["result"].as_str(), world.recorded("infra", "prompt").as_str()),
        (Some(TWO), TWO)
    );
    assert!(second.get("cached").is_none(), "{second}");
}

#[test]
fn every_dispatch_is_one_or_the_other_while_a_component_is_replaced_again_and_again() {
    let agents = ["infra", "web"];
    let world = world(&agents, "record\nanswer x");
    let components = components();
    put(&world, &components[0]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for component in &components {
                    put(&world, component);
                    // Long enough that some calls find it at rest.
                    std::thread::sleep(Duration::from_millis(60));
                }
            }
        });
        let servers = agents.map(|agent| {
            let world = &world;
            scope.spawn(move || {
                let mut client = Client::connect(world);
                for _ in 0..15 {
                    let task = json!({"agent": agent, "task": "look", "fresh": true});
                    let reply = client.tool("dispatch", task);
                    assert_eq!(reply["success"], true, "{reply}");
                    let prompt = world.recorded(agent, "prompt");
                    assert!([ONE, TWO].contains(&prompt.as_str()), "{prompt}");
                    assert_eq!(reply["result"], prompt, "a call was mixed: {reply}");
                }
            })
        });
        let ended: Vec<_> = servers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
}

/// Writes a component piece by piece, as a slow disk or linker does.
fn write_slowly(path: &Path, component: &[u8]) {
    let mut file = File::create(path).expect("a file");
    for piece in component.chunks(component.len().div_ceil(10)) {
        file.write_all(piece).expect("a file");
        std::thread::sleep(Duration::from_millis(8));
    }
}

#[test]
fn a_component_that_is_being_written_is_waited_for() {
    let world = world(&["infra"], "record\nanswer x");
    let [one, two] = components();
    put(&world, &one);
    let mut client = Client::connect(&world);
    let mut ask =
        || client.tool("dispatch", json!({"agent": "infra", "task": "look", "fresh": true}));
    assert_eq!(ask()["result"], ONE);
    let file = world.path("house.wasm");
    for (component, text) in [(&two, TWO), (&one, ONE), (&two, TWO)] {
        std::thread::scope(|scope| {
            scope.spawn(|| write_slowly(&file, component));
            // It may be early enough to find the one before.
            let reply = ask();
            match reply["error"].as_str() {
                None => assert!([ONE, TWO].contains(&reply["result"].as_str().expect("a text"))),
                // On a machine that is busy enough nobody can tell that it is still written.
                Some(error) => assert!(
                    [
                        "try again when it is written",
                        "half written",
                        "exports no policy",
                        "no WebAssembly"
                    ]
                    .iter()
                    .any(|part| error.contains(part)),
                    "{error}"
                ),
            }
        });
        let reply = ask();
        assert_eq!(
            (reply["success"].as_bool(), reply["result"].as_str()),
            (Some(true), Some(text)),
            "{reply}"
        );
    }
}

#[test]
fn another_config_of_a_policy_holds_from_the_next_call_of_every_server() {
    let world = World::with_agent("record\nanswer x");
    let trial = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies/trial.wasm");
    let mut clients = [Client::connect(&world), Client::connect(&world)];
    for (behaviour, expected) in [
        ("user:one", Some("one")),
        ("user:two", Some("two")),
        ("fail", None),
        ("user:three", Some("three")),
    ] {
        world.config(&format!(
            "{}  policies: {{prompt: trial}}\npolicies:\n  trial: {{component: {trial}, config: {{render: '{behaviour}'}}, limits: {{timeout_ms: 60000}}}}\n",
            world.agents_yaml(&["infra"])
        ));
        for client in &mut clients {
            let reply = client.tool("dispatch", json!({"agent": "infra", "task": "look"}));
            match expected {
                Some(prompt) => assert_eq!(world.recorded("infra", "prompt"), prompt, "{reply}"),
                None => assert_eq!(reply["error_type"], "policy", "{reply}"),
            }
        }
    }
}
