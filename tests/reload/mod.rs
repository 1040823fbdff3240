//! A component named by its path is followed: what lies there now decides the next call of
//! every running server, whichever way it came there.

mod calls;

use std::fs::{self, File, FileTimes};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::Client;

fn built(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins/built");
    fs::read(folder.join(name).with_extension("wasm")).expect("a component")
}

/// The same component, made so many bytes long.
fn padded(mut component: Vec<u8>, size: usize) -> Vec<u8> {
    // A custom section of the name `p`, its size written in five bytes.
    let rest = size.checked_sub(component.len() + 8).expect("room");
    let mut length = u32::try_from(rest + 2).expect("small");
    component.push(0);
    for place in 0..5 {
        let more = if place < 4 { 0x80 } else { 0 };
        component.push(u8::try_from(length & 0x7f).expect("seven bits") | more);
        length >>= 7;
    }
    component.extend([1, b'p']);
    component.resize(size, 0);
    component
}

/// A kind of policy, two components of it, and how a call tells which one decided.
struct Case {
    kind: &'static str,
    components: [&'static str; 2],
    /// What a server says in a call: which of the two it was, or the error.
    ask: fn(&World, &mut Client) -> Result<usize, String>,
}

const CASES: [Case; 4] = [
    Case {
        kind: "prompt",
        components: ["classic", "xml"],
        ask: |world, client| {
            let task = json!({"agent": "infra", "task": "look", "fresh": true});
            let reply = client.tool("dispatch", task);
            failed(&reply)?;
            Ok(usize::from(world.recorded("infra", "prompt").contains("<task>")))
        },
    },
    Case {
        kind: "describe",
        components: ["describe-classic", "describe-detailed"],
        ask: |world, client| {
            let added =
                client.tool("add_agent", json!({"name": "new", "directory": world.path("new")}));
            failed(&added)?;
            client.tool("remove_agent", json!({"name": "new"}));
            let description = added["description"].as_str().expect("a description");
            Ok(usize::from(description.contains("deploy")))
        },
    },
    Case {
        kind: "aggregate",
        components: ["aggregate-concatenate", "aggregate-first-success"],
        ask: |_, client| {
            let item = json!({"agent": "infra", "task": "look", "fresh": true});
            let reply = client.tool("dispatch_parallel", json!({"dispatches": [item]}));
            assert!(reply.is_array(), "{reply}");
            let call = json!({"dispatches": [item], "aggregate_policy": "house"});
            let reply = client.tool("dispatch_parallel", call);
            failed(&reply)?;
            Ok(usize::from(reply["aggregated"]["result"] == "again"))
        },
    },
    Case {
        kind: "dialogue",
        components: ["dialogue-resolved", "dialogue-no-progress"],
        ask: |_, client| {
            let call = json!({"requester": "infra", "responder": "infra", "topic": "Why?",
                "policy": "house", "max_rounds": 2});
            let reply = client.tool("dispatch_dialogue", call);
            failed(&reply)?;
            let reason = reply["reason"].as_str().expect("a reason");
            Ok(usize::from(reason.contains("repeats itself")))
        },
    },
];

fn failed(reply: &Value) -> Result<(), String> {
    match reply["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(()),
    }
}

/// A world in which `house` is the policy of this kind, and two servers.
struct Servers {
    world: World,
    case: &'static Case,
    clients: [Client; 2],
}

impl Servers {
    fn new(case: &'static Case) -> Self {
        let world = World::with_agent("record\nanswer again");
        world.agent("new", "answer hello");
        fs::write(world.path("new/CLAUDE.md"), "# The new one").expect("a file");
        fs::write(world.path("new/Makefile"), "deploy:\n\ttrue\n").expect("a file");
        let yaml = world.agents_yaml(&["infra"]);
        let chosen = if ["prompt", "describe"].contains(&case.kind) {
            format!("  policies: {{{}: house}}\n", case.kind)
        } else {
            String::new()
        };
        world.config(&format!(
            "{yaml}{chosen}policies:\n  house: {{component: ./house.wasm, limits: {{timeout_ms: 60000}}}}\n"
        ));
        let clients = [Client::connect(&world), Client::connect(&world)];
        Self { world, case, clients }
    }

    fn file(&self) -> PathBuf {
        self.world.path("house.wasm")
    }

    fn rename(&self, component: &[u8]) {
        let next = self.world.path("next.wasm");
        fs::write(&next, component).expect("a component");
        fs::rename(next, self.file()).expect("in its place");
    }

    /// Every server uses this component, in two calls.
    #[track_caller]
    fn decide(&mut self, which: usize, after: &str) {
        for client in &mut self.clients {
            for _ in 0..2 {
                let decided = (self.case.ask)(&self.world, client);
                assert_eq!(decided, Ok(which), "{}: {after}", self.case.kind);
            }
        }
    }

    /// Every server says this, and does nothing.
    #[track_caller]
    fn refuse(&mut self, part: &str, after: &str) {
        for client in &mut self.clients {
            for _ in 0..2 {
                let error = (self.case.ask)(&self.world, client).expect_err(after);
                assert!(error.contains("policy 'house'"), "{}: {after}: {error}", self.case.kind);
                assert!(error.contains(part), "{}: {after}: {error}", self.case.kind);
            }
        }
    }
}

/// All ways in which a component can be replaced, for one kind.
fn follows(case: &'static Case) {
    let mut servers = Servers::new(case);
    let [one, two] = case.components.map(built);
    let file = servers.file();
    servers.rename(&one);
    servers.decide(0, "the first");
    servers.rename(&two);
    servers.decide(1, "renamed into place");
    fs::write(&file, &one).expect("a file");
    servers.decide(0, "overwritten");
    let other = servers.world.path("other.wasm");
    fs::write(&other, &two).expect("a file");
    fs::remove_file(&file).and_then(|()| fs::hard_link(&other, &file)).expect("a link");
    servers.decide(1, "removed and linked, as cargo does");
    fs::remove_file(&file).expect("a file");
    std::os::unix::fs::symlink("one.wasm", &file).expect("a link");
    fs::write(servers.world.path("one.wasm"), &one).expect("a file");
    servers.decide(0, "behind a link");
    fs::write(servers.world.path("one.wasm"), &two).expect("a file");
    servers.decide(1, "changed behind a link");
    fs::remove_file(&file).expect("a link");

    servers.refuse("cannot read its component", "deleted");
    servers.rename(&one);
    servers.decide(0, "back again");
    fs::write(&file, "no component").expect("a file");
    servers.refuse("no WebAssembly component", "broken");
    fs::write(&file, &two).expect("a file");
    servers.decide(1, "repaired");
    fs::write(&file, &one[..one.len() / 2]).expect("a file");
    servers.refuse("half written: build or copy it again", "cut off");
    fs::write(&file, &one).expect("a file");
    servers.decide(0, "whole again");

    // Nothing but what is in it tells these apart, and when its status was changed.
    let size = one.len().max(two.len()) + 100;
    let (one, two) = (padded(one, size), padded(two, size));
    fs::write(&file, &one).expect("a file");
    let times = file.metadata().expect("metadata").modified().expect("a time");
    servers.decide(0, "padded");
    let open = File::options().write(true).open(&file).expect("a file");
    std::io::Write::write_all(&mut &open, &two).expect("a file");
    open.set_times(FileTimes::new().set_modified(times)).expect("its times");
    drop(open);
    let now = file.metadata().expect("metadata");
    assert_eq!((now.len(), now.modified().ok()), (size as u64, Some(times)));
    servers.decide(1, "of the same size and time");
}

#[test]
fn a_prompt_policy_is_followed() {
    follows(&CASES[0]);
}

#[test]
fn a_describe_policy_is_followed() {
    follows(&CASES[1]);
}

#[test]
fn an_aggregate_policy_is_followed() {
    follows(&CASES[2]);
}

#[test]
fn a_dialogue_policy_is_followed() {
    follows(&CASES[3]);
}
