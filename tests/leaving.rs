//! Calls of several runs, or that somebody watches, which do not come to their end: the
//! client gives them up, goes away, or the server is ended. Nothing of them survives, and
//! what was paid for is told to whoever is still there.

use std::fs::{self, File};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::{World, until};

/// A call in its middle: something is paid for, and something runs that left a process
/// behind.
struct Form {
    name: &'static str,
    tool: &'static str,
    arguments: fn() -> Value,
    /// The files that are there when it is in its middle.
    begun: &'static [&'static str],
    /// What a reply has to have by then.
    paid_for: fn(&Value),
}

const FORMS: [Form; 4] = [
    Form {
        name: "parallel",
        tool: "dispatch_parallel",
        arguments: || json!({"dispatches": [ask("quick"), ask("stuck"), ask("deaf")]}),
        begun: &["quick-is-done", "stuck-runs", "deaf-runs"],
        paid_for: |reply| {
            assert_eq!(reply[0]["result"], "paid for", "{reply}");
            was_cancelled(&reply[1]);
            was_cancelled(&reply[2]);
        },
    },
    Form {
        name: "aggregate",
        tool: "dispatch_parallel",
        arguments: || json!({"dispatches": [ask("quick"), ask("quick")], "aggregate": "stuck"}),
        begun: &["quick-is-done", "stuck-runs"],
        paid_for: |reply| {
            let (individual, aggregated) = (&reply["individual_results"], &reply["aggregated"]);
            assert_eq!(individual[0]["result"], "paid for", "{reply}");
            assert_eq!(individual[1]["result"], "paid for", "{reply}");
            was_cancelled(&aggregated["steps"][0]);
            assert_eq!(
                (&aggregated["success"], &aggregated["error_type"]),
                (&json!(false), &json!("cancelled")),
                "{reply}"
            );
        },
    },
    Form {
        name: "stream",
        tool: "dispatch_stream",
        arguments: || ask("stuck"),
        begun: &["stuck-runs"],
        paid_for: was_cancelled,
    },
    Form {
        name: "dialogue",
        tool: "dispatch_dialogue",
        arguments: || json!({"requester": "stuck", "responder": "quick", "topic": "Why?"}),
        begun: &["quick-is-done", "stuck-runs"],
        paid_for: |reply| {
            let turns = &reply["conversation"];
            assert_eq!(turns[0]["message"], "paid for", "{reply}");
            assert_eq!(
                (&turns[1]["message"], &turns[1]["error_type"]),
                (&json!("1 thought"), &json!("cancelled")),
                "{reply}"
            );
            assert_eq!(turns.as_array().map(Vec::len), Some(2));
            assert_eq!(
                (&reply["resolved"], &reply["final_answer"]),
                (&json!(false), &json!("paid for"))
            );
            assert_eq!(reply["error_type"], "cancelled", "{reply}");
        },
    },
];

fn ask(agent: &str) -> Value {
    json!({"agent": agent, "task": "look"})
}

/// It was ended, and what it has said by then is there.
fn was_cancelled(reply: &Value) {
    assert_eq!(reply["error_type"], "cancelled", "{reply}");
    assert_eq!((&reply["success"], &reply["result"]), (&json!(false), &json!("1 thought")));
}

/// What there is at once.
struct Scene {
    world: World,
    client: Client,
}

impl Scene {
    /// The call is in its middle.
    fn new(form: &Form) -> Self {
        let world = World::new();
        world.agent("quick", "answer paid for\ntouch ../quick-is-done");
        world.agent("stuck", "says 1 thought\nleave daemon new-session\ntouch ../stuck-runs\nhang");
        // What it leaves behind is only gone when it is killed.
        let daemon = "leave daemon double-fork no-environment ignores-term";
        world.agent("deaf", &format!("says 1 thought\n{daemon}\ntouch ../deaf-runs\nhang"));
        world.agent("other", "answer fine");
        let scene = Self { client: Client::connect(&world), world };
        scene.limit(3);
        let mut scene = scene;
        scene.client.begin("call", form.tool, (form.arguments)());
        for file in form.begun {
            scene.world.wait_for(file);
        }
        assert!(scene.world.has_process_of("stuck"), "{}", form.name);
        scene
    }

    fn limit(&self, limit: u32) {
        let yaml = self.world.agents_yaml(&["quick", "stuck", "deaf", "other"]);
        self.world.config(&format!("{yaml}  max_concurrency: {limit}\n"));
    }

    /// All that the server says until it closes its output; the answer to the call, if it is
    /// among that.
    fn last_words(&mut self) -> Option<Value> {
        let mut answer = None;
        while let Some(message) = self.client.receive_or_end() {
            if message["id"] == "call" {
                let text = message["result"]["content"][0]["text"].as_str();
                answer = text.map(|text| serde_json::from_str(text).expect("JSON"));
            }
        }
        answer
    }

    /// Nothing is left, and others can do their work.
    fn is_clean(&self) {
        self.world.wait_for_no_process();
        // The file of a lock may stay; nobody holds it.
        let folder = self.world.path("home/.local/state/agent-dispatch/sessions");
        let files = fs::read_dir(folder).expect("the folder of locks").flatten();
        let files: Vec<File> = files.filter_map(|file| File::open(file.path()).ok()).collect();
        until(|| files.iter().all(|file| file.try_lock().is_ok()), || "a session is locked".into());
        self.limit(1);
        assert_eq!(self.world.run(&["dispatch", "other", "look"]).stdout, "fine\n");
    }
}

#[test]
fn a_call_that_is_given_up_leaves_nothing_and_its_places_are_free() {
    for form in &FORMS {
        let mut scene = Scene::new(form);
        scene.client.cancel("call");
        scene.world.wait_for_no_process();
        // A place that was not given back would be missing now.
        scene.limit(1);
        scene.client.begin("next", "dispatch", ask("other"));
        let answer = loop {
            let message = scene.client.receive();
            assert_ne!(message["id"], "call", "nobody waits for it: {message}");
            if message["id"] == "next" {
                break message["result"]["structuredContent"].clone();
            }
        };
        assert_eq!(answer["result"], "fine", "{}", form.name);
        assert_eq!(scene.client.tool("list_agents", json!({}))[0]["name"], "quick");
        scene.is_clean();
    }
}

/// A call of fifty that run one after the other; the first is on and will not end.
fn fifty_in_a_row() -> (World, Client) {
    let world = World::with_agent("count ../runs\nsays 1 thought\ntouch ../runs-now\nhang");
    world.agent("other", "answer fine");
    world.config(&format!("{}  max_concurrency: 1\n", world.agents_yaml(&["infra", "other"])));
    let mut client = Client::connect(&world);
    let item = |number: u32| json!({"agent": "infra", "task": format!("task {number}")});
    let dispatches: Vec<Value> = (0..50).map(item).collect();
    client.begin("call", "dispatch_parallel", json!({"dispatches": dispatches}));
    world.wait_for("runs-now");
    (world, client)
}

#[test]
fn what_waits_for_its_place_when_the_call_is_given_up_is_never_begun() {
    let (world, mut client) = fifty_in_a_row();
    client.cancel("call");
    let reply = client.tool("dispatch", ask("other"));
    assert_eq!(reply["result"], "fine", "{reply}");
    world.wait_for_no_process();
    assert_eq!(world.runs(), 1);
}

#[test]
fn what_waits_for_its_place_when_the_server_ends_is_told_so() {
    let (world, client) = fifty_in_a_row();
    client.signal(Signal::TERM);
    let mut scene = Scene { world, client };
    let replies = scene.last_words().expect("an answer");
    let replies = replies.as_array().expect("a list");
    assert_eq!(replies.len(), 50);
    assert!(replies.iter().all(|reply| reply["error_type"] == "cancelled"), "{replies:?}");
    let said = replies.iter().filter(|reply| reply["result"] == "1 thought").count();
    assert_eq!((said, scene.world.runs()), (1, 1));
    scene.world.wait_for_no_process();
}

#[test]
fn a_client_that_closes_the_input_is_told_what_was_paid_for() {
    for form in &FORMS {
        let mut scene = Scene::new(form);
        scene.client.close_input();
        let answer = scene.last_words().unwrap_or_else(|| panic!("{}: no answer", form.name));
        (form.paid_for)(&answer);
        scene.is_clean();
    }
}

#[test]
fn a_client_that_vanishes_leaves_nothing() {
    for form in &FORMS {
        let Scene { world, client } = Scene::new(form);
        client.vanish();
        Scene { client: Client::connect(&world), world }.is_clean();
    }
}

#[test]
fn a_server_that_is_asked_to_end_tells_what_was_paid_for() {
    for form in &FORMS {
        for signal in [Signal::TERM, Signal::INT] {
            let mut scene = Scene::new(form);
            scene.client.signal(signal);
            let answer = scene.last_words().unwrap_or_else(|| panic!("{}: no answer", form.name));
            (form.paid_for)(&answer);
            scene.is_clean();
        }
    }
}

#[test]
fn a_server_that_is_killed_leaves_nothing() {
    for form in &FORMS {
        let Scene { world, client } = Scene::new(form);
        client.signal(Signal::KILL);
        drop(client);
        Scene { client: Client::connect(&world), world }.is_clean();
    }
}

/// A call whose client has not read a word of the much that its agent says.
fn unread() -> (World, Client) {
    let text = "x".repeat(290);
    let steps = format!("says 60000 {text}\nleave daemon new-session\ntouch ../said\nhang");
    let world = World::with_agent(&steps);
    world.agent("other", "answer fine");
    world.config(&world.agents_yaml(&["infra", "other"]));
    let mut client = Client::connect(&world);
    client.begin("call", "dispatch_stream", ask("infra"));
    world.wait_for("said");
    (world, client)
}

#[test]
fn a_client_that_does_not_read_can_leave_all_the_same() {
    let (world, mut client) = unread();
    client.cancel("call");
    world.wait_for_no_process();
    assert_eq!(client.tool("dispatch", ask("other"))["result"], "fine");

    let (world, client) = unread();
    client.vanish();
    world.wait_for_no_process();

    // Its input is closed, and nobody reads.
    let (world, client) = unread();
    client.close();
    world.wait_for_no_process();

    let (world, client) = unread();
    client.signal(Signal::TERM);
    client.wait();
    world.wait_for_no_process();

    let (world, client) = unread();
    client.signal(Signal::KILL);
    client.wait();
    world.wait_for_no_process();
}
