//! A dispatch that somebody watches.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::{Client, Streams, Told, told};

/// More than waits for a client that does not read.
const FLOOD: usize = 60_000;

fn ask() -> Value {
    json!({"agent": "infra", "task": "look"})
}

/// Steps that say this and use tools, as `claude` tells of it.
fn steps(events: &[Value]) -> String {
    let steps: Vec<String> = events.iter().map(|event| format!("out {event}")).collect();
    steps.join("\n") + "\n"
}

fn block(kind: &str, block: Value) -> Value {
    json!({"type": kind, "message": {"content": [block]}})
}

fn says(text: &str) -> Value {
    block("assistant", json!({"type": "text", "text": text}))
}

fn uses(id: &str, name: &str, input: Value) -> Value {
    block("assistant", json!({"type": "tool_use", "id": id, "name": name, "input": input}))
}

fn returns(id: &str, content: Value, is_error: bool) -> Value {
    let result =
        json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error});
    block("user", result)
}

#[test]
fn each_event_is_told_in_a_line_and_in_order() {
    let long = "x".repeat(5000);
    let events = [
        says("Let me\nsee"),
        uses("t1", "Bash", json!({"command": "ls -l\npwd", "description": "list"})),
        returns("t1", json!("a\u{1b}[2J\nb"), false),
        uses("t2", "Read", json!({"file_path": "/etc/hosts"})),
        returns("t2", json!([{"type": "text", "text": "no such file"}]), true),
        json!({"type": "system", "subtype": "api_retry", "attempt": 2, "error_status": 529}),
        json!({"type": "system", "subtype": "permission_denied", "tool_name": "WebFetch"}),
        says(&long),
        uses("t3", &long, json!({"query": long})),
        returns("t3", json!(long), false),
        // Nothing of these is for people to read.
        json!({"type": "system", "subtype": "status"}),
        json!({"type": "stream_event", "event": {}}),
        json!({"type": "new_in_a_later_version"}),
    ];
    let world = World::with_agent(&format!("{}answer Done", steps(&events)));
    let mut client = Client::connect(&world);
    let (notices, reply) = client.watch("dispatch_stream", ask());
    assert_eq!(reply["result"], "Done", "{reply}");
    assert_eq!(reply["denied_tools"], json!(["WebFetch"]));
    assert!(notices[0].starts_with("'infra' works: "), "{notices:?}");
    let expected = [
        "infra says: Let me see",
        "infra uses Bash: ls -l pwd",
        "infra Bash returned: a\\u{1b}[2J b",
        "infra uses Read: /etc/hosts",
        "infra Read failed: no such file",
        "infra waits to call the model again after a failure (HTTP 529), attempt 2",
        "infra was not allowed to use WebFetch",
    ];
    assert_eq!(notices[1..8], expected);
    for (notice, begins) in notices[8..11].iter().zip(["says: xxx", "uses xxx", "xxx"]) {
        let line = notice.strip_prefix("infra ").expect("its agent");
        assert!(line.starts_with(begins) && line.ends_with("x…"), "{line}");
        assert_eq!(line.chars().count(), 301);
    }
    assert_eq!(notices[11..], ["infra says: Done"]);
    assert!(notices.iter().all(|notice| !notice.contains(char::is_control)), "{notices:?}");
}

#[test]
fn an_event_is_told_while_the_agent_works() {
    let world = World::with_agent("says 1 a\nwait ../first\nsays 1 b\nwait ../second\nanswer done");
    for streams in [Streams::Pipes, Streams::Sockets] {
        let mut client = Client::start(&world, streams);
        client.initialize();
        client.begin("watched", "dispatch_stream", ask());
        let mut hear = |wanted: &str| {
            while !matches!(client.next_told(), Told::Notice(_, text) if text == wanted) {}
        };
        // It goes on only when that was heard.
        for (event, file) in [("infra says: 1 a", "first"), ("infra says: 1 b", "second")] {
            hear(event);
            fs::write(world.path(file), "").expect("a file");
        }
        hear("infra says: done");
        assert_eq!(client.finish(1)["watched"]["result"], "done");
        for file in ["first", "second"] {
            fs::remove_file(world.path(file)).expect("the file");
        }
    }
}

#[test]
fn ten_thousand_events_reach_a_client_that_reads() {
    let world = World::with_agent("says 10000 steps\nanswer done");
    for streams in [Streams::Pipes, Streams::Sockets] {
        let mut client = Client::start(&world, streams);
        client.initialize();
        let (mut notices, reply) = client.watch("dispatch_stream", ask());
        assert_eq!(reply["result"], "done");
        // A call that lasts is also told how long by now.
        notices.retain(|notice| !notice.starts_with("'infra' works: "));
        let mut expected: Vec<String> =
            (1..=10_000).map(|number| format!("infra says: {number} steps")).collect();
        expected.push("infra says: done".to_owned());
        assert_eq!(notices.len(), expected.len());
        assert!(notices == expected, "they are others");
    }
}

/// What a client has heard of a flood.
struct Flood {
    /// The number of the text that comes next.
    next: usize,
    folded: usize,
}

impl Flood {
    /// Takes a notice; false when it is about something else.
    fn take(&mut self, notice: &str) -> bool {
        if let Some(text) = notice.strip_prefix("infra says: ") {
            let number = text.split(' ').next().expect("a word").parse::<usize>();
            let Ok(number) = number else { return false };
            assert_eq!(number, self.next, "{notice}");
            self.next += 1;
        } else if let Some(rest) = notice.strip_prefix('(') {
            let count = rest.strip_suffix(" earlier notices are left out)").expect("a count");
            let count: usize = count.parse().expect("a number");
            assert!(count > 0);
            self.folded += count;
            self.next += count;
        }
        true
    }
}

#[test]
fn a_client_that_does_not_read_slows_no_agent_and_is_told_how_much_it_missed() {
    let text = "x".repeat(290);
    let script = format!("says {FLOOD} {text}\ntouch ../flooded\nwait ../go\nanswer done");
    for streams in [Streams::Pipes, Streams::Sockets] {
        let world = World::with_agent(&script);
        let mut client = Client::start(&world, streams);
        client.initialize();
        client.begin("watched", "dispatch_stream", ask());
        // The agent gets rid of all that it has to say.
        world.wait_for("flooded");
        let (mut flood, mut last) = (Flood { next: 1, folded: 0 }, 0);
        while flood.next <= FLOOD {
            let told = client.next_told();
            let Told::Notice(number, notice) = told else { panic!("{told:?}") };
            assert!(number > last);
            last = number;
            // That it works comes before all the rest, and may have had to make room.
            if notice.starts_with("'infra' works") {
                continue;
            }
            assert!(flood.take(&notice), "{notice}");
        }
        assert_eq!(flood.next, FLOOD + 1, "all are told or counted");
        assert!(flood.folded > FLOOD / 2, "{} of {FLOOD} made room", flood.folded);
        fs::write(world.path("go"), "").expect("a file");
        assert_eq!(client.finish(1)["watched"]["result"], "done");
    }
}

#[test]
fn a_client_that_reads_nothing_until_all_is_over_still_gets_the_result() {
    let text = "x".repeat(290);
    let answer = "y".repeat(1 << 20);
    let script = format!("says {FLOOD} {text}\nrepeat 1048576 y\ntouch ../ended");
    for streams in [Streams::Pipes, Streams::Sockets] {
        let world = World::with_agent(&script);
        world.config(&format!("{}  inline_limit: 0\n", world.agents_yaml(&["infra"])));
        let mut client = Client::start(&world, streams);
        client.initialize();
        client.begin("watched", "dispatch_stream", ask());
        world.wait_for("ended");
        #[cfg(target_os = "linux")]
        world.wait_for_no_process();
        let (_, reply) = client.watch_on();
        assert_eq!((&reply["success"], reply["result"] == *answer), (&json!(true), true));
        // Nothing follows the result, and the server goes on.
        let ping = client.response("ping", json!({}));
        assert_eq!(ping["result"], json!({}));
    }
}

#[test]
fn without_a_token_nothing_is_told_and_the_result_is_the_same() {
    let world = World::with_agent("says 100 steps\nanswer done");
    let mut client = Client::connect(&world);
    let (notices, with_token) = client.watch("dispatch_stream", ask());
    assert!(notices.len() > 100, "{notices:?}");
    let params = json!({"name": "dispatch_stream", "arguments": ask()});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    client.send(&call.to_string());
    let Told::Answer(without) = told(&client.receive()) else { panic!("a notice") };
    let facts = |reply: &Value| {
        let mut facts = reply.as_object().expect("a reply").clone();
        assert!(facts.remove("session_id").is_some_and(|id| id.is_string()));
        facts
    };
    assert_eq!(facts(&without), facts(&with_token));
}

#[test]
fn a_token_is_given_back_as_it_came() {
    let world = World::with_agent("says 3 steps\nanswer done");
    let mut client = Client::connect(&world);
    for token in [json!("a token"), json!(0), json!(4_711)] {
        let meta = json!({"progressToken": token});
        let params = json!({"name": "dispatch_stream", "arguments": ask(), "_meta": meta});
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        client.send(&call.to_string());
        let mut count = 0;
        loop {
            let message = client.receive();
            if message["id"] == 7 {
                break;
            }
            assert_eq!(message["params"]["progressToken"], token, "{message}");
            count += 1;
        }
        assert!(count >= 4, "{count}");
    }
}

#[test]
fn what_is_watched_is_always_done_and_its_answer_is_nobody_elses() {
    let world = World::with_agent("count ../runs\nanswer ok");
    let mut client = Client::connect(&world);
    for (count, tool) in ["dispatch", "dispatch_stream", "dispatch_stream"].into_iter().enumerate()
    {
        let reply = client.tool(tool, ask());
        assert_eq!((&reply["result"], reply.get("cached")), (&json!("ok"), None), "{reply}");
        assert_eq!(world.runs(), count + 1, "{tool}");
    }
    client.tool("cache_clear", json!({}));
    client.tool("dispatch_stream", ask());
    assert_eq!(client.tool("dispatch", ask()).get("cached"), None);
    assert_eq!(world.runs(), 5);
    // Nor do two who watch at once share one.
    world.agent("infra", "meet 2 ../here\nanswer ok");
    client.begin("one", "dispatch_stream", ask());
    client.begin("other", "dispatch_stream", ask());
    for (id, reply) in client.finish(2) {
        assert_eq!((&reply["result"], reply.get("shared")), (&json!("ok"), None), "{id}");
    }
}

#[test]
fn a_run_that_fails_is_told_to_its_end() {
    let world = World::with_agent("says 1 step\nerr out of disk\nexit 3");
    let mut client = Client::connect(&world);
    let (notices, reply) = client.watch("dispatch_stream", ask());
    assert_eq!(notices.last().map(String::as_str), Some("infra says: 1 step"), "{notices:?}");
    assert!(reply["error"].as_str().is_some_and(|error| error.contains("out of disk")), "{reply}");

    let yaml = world.agents_yaml(&["infra"]);
    world.config(&yaml.replace("settings:", "    timeout: 1\nsettings:"));
    world.agent("infra", "says 1 step\nhang");
    let (notices, reply) = client.watch("dispatch_stream", ask());
    assert_eq!(reply["error_type"], "timeout", "{reply}");
    assert_eq!(reply["result"], "1 step");
    assert_eq!(notices.last().map(String::as_str), Some("infra is being ended"));
}
