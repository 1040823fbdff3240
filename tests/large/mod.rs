//! Replies that are too long to go out whole, and how they are fetched.

mod fetched;
mod kept;
mod several;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::Client;

/// The most that an answer may have, in bytes of JSON, where the config says nothing.
const LIMIT: usize = 40 << 10;

/// How much of the beginning and of the end is shown, in bytes.
const HALF: usize = 4 << 10;

/// A line whose characters are one to four bytes long, some of them two as JSON.
const LINE: &str = "größe “1” 🦘\n";

/// A step of the fake agent that says the line so often.
fn says_lines(count: usize) -> String {
    format!("repeat {count} größe “1” 🦘\\n")
}

fn lines(count: usize) -> String {
    LINE.repeat(count)
}

fn store(world: &World) -> PathBuf {
    world.path("home/.local/state/agent-dispatch/store.sqlite")
}

/// A config in which agents `names` have this limit.
fn with_limit(world: &World, names: &[&str], limit: &str) {
    world.config(&format!("{}  inline_limit: {limit}\n", world.agents_yaml(names)));
}

fn question(task: &str) -> Value {
    json!({"agent": "infra", "task": task})
}

/// The JSON of a tool's answer, and how long it is.
#[track_caller]
fn answer(client: &mut Client, tool: &str, arguments: Value) -> (Value, usize) {
    let result = client.call(tool, arguments);
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
    (serde_json::from_str(text).expect("JSON"), text.len())
}

fn text<'a>(reply: &'a Value, key: &str) -> &'a str {
    reply[key].as_str().unwrap_or_else(|| panic!("no {key}: {reply}"))
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().collect()
}

/// Fetches all of a result, page by page; every page has to fit.
#[track_caller]
fn fetch_all(client: &mut Client, reference: &str, max_chars: usize) -> String {
    let (mut whole, mut offset) = (String::new(), 0);
    loop {
        let wanted = json!({"ref": reference, "max_chars": max_chars, "offset": offset});
        let (page, length) = answer(client, "fetch_result", wanted);
        assert!(length <= LIMIT || max_chars > 0, "{length}");
        let part = text(&page, "result");
        let chars = part.chars().count();
        assert!(chars > 0 && (max_chars == 0 || chars <= max_chars), "{chars}");
        whole.push_str(part);
        let Some(next) = page.get("next_offset") else {
            assert_eq!(page.get("truncated"), None);
            return whole;
        };
        assert_eq!(page["truncated"], true);
        assert_eq!(next, offset + chars);
        offset += chars;
    }
}

/// Is this the preview of that text: its beginning, a line that says how to go on, its end?
#[track_caller]
fn assert_preview(preview: &str, whole: &str, reference: &str) {
    let head = &whole[..whole.floor_char_boundary(HALF)];
    let tail = &whole[whole.ceil_char_boundary(whole.len() - HALF)..];
    let rest = preview.strip_prefix(head).expect("the beginning");
    let line = rest.strip_suffix(tail).expect("the end");
    let left_out = whole.len() - head.len() - tail.len();
    for said in [
        format!("{left_out} of {} bytes", whole.len()),
        format!("fetch_result with ref \"{reference}\""),
        format!("offset {}", head.chars().count()),
    ] {
        assert!(line.contains(&said), "{line}");
    }
    assert!(line.starts_with("\n[") && line.ends_with("]\n") && line.trim().lines().count() == 1);
}

#[test]
fn a_long_reply_keeps_its_keys_and_shows_its_beginning_and_its_end() {
    let world = World::with_agent(&says_lines(10_000));
    let whole = lines(10_000);
    let mut client = Client::connect(&world);
    for tool in ["dispatch", "dispatch_session", "dispatch_stream"] {
        let result = client.call(tool, question("look"));
        assert_eq!(result.get("structuredContent"), None);
        let (reply, length) = answer(&mut client, tool, question("look again"));
        assert!(length < LIMIT, "{length}");
        let expected = [
            "agent",
            "success",
            "result",
            "session_id",
            "cost_usd",
            "duration_ms",
            "num_turns",
            "ref",
            "size",
            "truncated",
        ];
        assert_eq!(keys(&reply), expected);
        assert_eq!((&reply["size"], &reply["truncated"]), (&json!(whole.len()), &json!(true)));
        assert_preview(text(&reply, "result"), &whole, text(&reply, "ref"));
        assert_eq!(fetch_all(&mut client, text(&reply, "ref"), 0), whole);
    }
    // A terminal has no such bound.
    let ran = world.run(&["dispatch", "infra", "look"]);
    assert_eq!(ran.stdout.trim_end(), whole.trim_end());
    let shown = world.run(&["dispatch", "infra", "look", "--json"]).json();
    assert_eq!((text(&shown, "result"), shown.get("ref")), (&*whole, None));
}

#[test]
fn a_reply_is_whole_up_to_the_limit_and_not_beyond() {
    let world = World::with_agent(&says_lines(600));
    let mut client = Client::connect(&world);
    let fresh = || json!({"agent": "infra", "task": "look", "fresh": true});
    let (reply, length) = answer(&mut client, "dispatch", fresh());
    assert_eq!((text(&reply, "result"), reply.get("ref")), (&*lines(600), None));
    for (limit, is_cut) in [(length, false), (length - 1, true), (length + 1, false)] {
        with_limit(&world, &["infra"], &limit.to_string());
        let (reply, length) = answer(&mut client, "dispatch", fresh());
        assert_eq!(reply.get("truncated").is_some(), is_cut, "{limit}: {length}");
        assert!(length <= limit);
    }
}

#[test]
fn the_limit_can_be_switched_off_or_be_very_small() {
    let world = World::with_agent(&says_lines(10_000));
    let whole = lines(10_000);
    let mut client = Client::connect(&world);
    // Also where an answer is given again.
    for (limit, most) in [("0", usize::MAX), ("1", 1200), ("2000", 2000), ("40960", 40_960)] {
        with_limit(&world, &["infra"], limit);
        let (reply, length) = answer(&mut client, "dispatch", question("look"));
        assert!(length <= most, "{limit}: {length}");
        let is_whole = text(&reply, "result") == whole;
        assert_eq!((is_whole, reply.get("ref").is_none()), (limit == "0", limit == "0"), "{limit}");
        assert_eq!(reply.get("cached").is_some(), limit != "0");
    }
    // What bounds an answer bounds a page, too, but never to nothing.
    let (reply, _) = answer(&mut client, "dispatch", question("look"));
    for (limit, least) in [("1", 1000), ("0", 10_000)] {
        with_limit(&world, &["infra"], limit);
        let (page, length) =
            answer(&mut client, "fetch_result", json!({"ref": text(&reply, "ref")}));
        assert!(text(&page, "result").chars().count() >= least);
        assert_eq!(text(&page, "result") == whole, limit == "0");
        assert!(limit == "0" || length < 10_000, "{length}");
    }
    with_limit(&world, &["infra"], "many");
    let (reply, length) = answer(&mut client, "dispatch", question("look"));
    assert!(length <= LIMIT && reply["truncated"] == true, "the default applies");
}
