//! Two agents take turns.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::Client;

const HOW_TO_END: &str =
    "When your answer is complete and no question is open, end your reply with [RESOLVED].";

/// A world in which `web` asks `infra`, and each says these things in its turns; `more`
/// follows in the config.
fn world_of(responder: &[&str], requester: &[&str], more: &str) -> World {
    let world = World::new();
    let answers = |texts: &[&str]| -> Vec<String> {
        texts.iter().map(|text| format!("answer {text}")).collect()
    };
    for (agent, texts) in [("infra", responder), ("web", requester)] {
        let scripts = answers(texts);
        world.agent_with_turns(agent, &scripts.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world.config(&format!("{}{more}", world.agents_yaml(&["web", "infra"])));
    world
}

fn call(topic: &str, more: Value) -> Value {
    let mut call = json!({"requester": "web", "responder": "infra", "topic": topic});
    call.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    call
}

fn talk(world: &World, more: Value) -> Value {
    Client::connect(world).tool("dispatch_dialogue", call("Why is it slow?", more))
}

/// The value at this key of every turn.
fn all(reply: &Value, key: &str) -> Vec<Value> {
    let turns = reply["conversation"].as_array().unwrap_or_else(|| panic!("{reply}"));
    turns.iter().map(|turn| turn[key].clone()).collect()
}

fn argument(world: &World, agent: &str, turn: u32, flag: &str) -> String {
    let arguments = world.recorded(agent, &format!("arguments-{turn}"));
    let found = arguments.lines().find_map(|line| line.strip_prefix(flag));
    found.unwrap_or_else(|| panic!("no {flag} in {arguments}")).to_owned()
}

#[test]
fn the_responder_begins_and_each_side_has_a_conversation_of_its_own() {
    let world = world_of(
        &["Is there a cache?", "Then add one.\\n\\n**[RESOLVED]**"],
        &["There is none."],
        "",
    );
    let reply = talk(&world, json!({}));
    assert_eq!(all(&reply, "agent"), ["infra", "web", "infra"]);
    assert_eq!(all(&reply, "role"), ["responder", "requester", "responder"]);
    assert_eq!(all(&reply, "round"), [1, 1, 2]);
    let messages =
        ["Is there a cache?", "There is none.", "Then add one.\n\n**[RESOLVED]**"].map(Value::from);
    assert_eq!(all(&reply, "message"), messages);
    assert_eq!(all(&reply, "cost_usd"), [0.25, 0.25, 0.25]);
    let mut facts = reply.clone();
    facts.as_object_mut().expect("a reply").remove("conversation");
    let expected = json!({"resolved": true, "rounds": 2, "total_cost_usd": 0.75,
        "total_duration_ms": 3702, "final_answer": "Then add one.", "policy": "resolved"});
    assert_eq!(facts, expected);

    let (infra, web) = (
        argument(&world, "infra", 1, "--session-id="),
        argument(&world, "web", 1, "--session-id="),
    );
    assert_ne!(infra, web);
    assert_eq!(argument(&world, "infra", 2, "--resume="), infra);
    assert_eq!(all(&reply, "session_id"), [&*infra, &*web, &*infra]);
    assert_eq!((world.turns("infra"), world.turns("web")), (2, 1));
}

#[test]
fn each_is_told_who_asks_and_what_for_in_the_words_of_its_own_policy() {
    let world = world_of(&["A <cache>?", "Add one. [RESOLVED]"], &["None."], "");
    let yaml = world.agents_yaml(&["web", "infra"]);
    world.config(&yaml.replace("  infra:", "    policies: {prompt: xml}\n  infra:"));
    // Longer than a goal may be, and not only of ASCII.
    let topic = format!("{}ü, and the rest?", "Why is it slow? ".repeat(13));
    let goal: String = topic.chars().take(200).collect();
    assert!(topic.chars().count() > 200);
    let reply = Client::connect(&world).tool("dispatch_dialogue", call(&topic, json!({})));
    assert_eq!(reply["resolved"], true, "{reply}");

    let headed =
        |task: &str| format!("## Goal\n{goal}\n\n## Dispatched by\nweb\n\n## Task\n{task}");
    let opening = format!(
        "The agent 'web' wants to settle the topic below with you and reads what you reply. \
         Give your view, and ask what you need to know. {HOW_TO_END}\n\nTopic:\n{topic}"
    );
    assert_eq!(world.recorded("infra", "prompt-1"), headed(&opening));
    let answer = format!("The agent 'web' says:\n\nNone.\n\nReply to it. {HOW_TO_END}");
    assert_eq!(world.recorded("infra", "prompt-2"), headed(&answer));
    let told = format!(
        "<goal>\n{goal}\n</goal>\n\n<dispatched-by>\ninfra\n</dispatched-by>\n\n\
         <task>\nTopic:\n{topic}\n\nThe agent 'infra' says:\n\nA <cache>?\n\n\
         Reply to it. {HOW_TO_END}\n</task>"
    );
    assert_eq!(world.recorded("web", "prompt-1"), told);
}

#[test]
fn there_are_so_many_rounds_as_are_wanted_from_one_to_ten() {
    for (max_rounds, rounds) in [
        (json!(null), 3),
        (json!(1), 1),
        (json!("2"), 2),
        (json!(0), 1),
        (json!(-5), 1),
        (json!(10), 10),
        (json!(11), 10),
        (json!(u64::MAX), 10),
    ] {
        let texts: Vec<String> = (1..=12).map(|turn| format!("word {turn}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let world = world_of(&texts, &texts, "");
        let reply = talk(&world, json!({"max_rounds": max_rounds}));
        assert_eq!((world.turns("infra"), world.turns("web")), (rounds, rounds), "{max_rounds}");
        assert_eq!(
            (&reply["resolved"], &reply["rounds"]),
            (&json!(false), &json!(rounds)),
            "{max_rounds}"
        );
        assert_eq!(reply["reason"], format!("not resolved within max_rounds = {rounds}"));
        // The responder's last word, though the requester spoke after it.
        assert_eq!(reply["final_answer"], format!("word {rounds}"));
        assert_eq!(all(&reply, "agent").len(), 2 * rounds);
        assert_eq!(reply.get("error"), None, "{reply}");
    }
}

#[test]
fn a_message_that_ends_with_the_marker_resolves_it_and_a_mere_mention_does_not() {
    for (message, answer) in [
        ("Use a cache.\\n\\n[RESOLVED]", "Use a cache."),
        ("Use a cache. **[RESOLVED]**. \\n", "Use a cache."),
        ("Use a cache. `[RESOLVED]`", "Use a cache."),
        ("Use a cache. __[RESOLVED]__...", "Use a cache."),
    ] {
        let reply = talk(&world_of(&[message], &[], ""), json!({}));
        assert_eq!(
            (&reply["resolved"], &reply["final_answer"], &reply["rounds"]),
            (&json!(true), &json!(answer), &json!(1)),
            "{message}"
        );
        assert_eq!((reply.get("reason"), reply.get("error")), (None, None), "{reply}");
    }
    for message in [
        "I will say [RESOLVED] when it is.",
        "[RESOLVED]?",
        "[resolved]",
        "[RESOLVED] is not what this is",
    ] {
        let reply = talk(&world_of(&[message], &["Well"], ""), json!({"max_rounds": 1}));
        assert_eq!(
            (&reply["resolved"], &reply["final_answer"]),
            (&json!(false), &json!(message)),
            "{message}"
        );
        assert_eq!(reply["reason"], "not resolved within max_rounds = 1", "{message}");
    }
    // The requester may end it too, also by nothing but the marker.
    let reply = talk(&world_of(&["Use a cache."], &["[RESOLVED]"], ""), json!({}));
    assert_eq!(
        (&reply["resolved"], &reply["final_answer"]),
        (&json!(true), &json!("Use a cache.")),
        "{reply}"
    );
}

#[test]
fn a_turn_that_fails_ends_it_with_all_turns_so_far() {
    let world = World::new();
    world.agent_with_turns("infra", &["answer Is there a cache?"]);
    world.agent_with_turns("web", &["says 1 thought\nerr out of disk\nexit 3"]);
    world.config(&world.agents_yaml(&["web", "infra"]));
    let reply = talk(&world, json!({}));
    assert_eq!((&reply["resolved"], &reply["rounds"]), (&json!(false), &json!(1)), "{reply}");
    assert_eq!(reply["reason"], "a turn failed");
    assert_eq!((&reply["error_type"], &reply["policy"]), (&json!("cli_error"), &json!("resolved")));
    let error = reply["error"].as_str().expect("an error");
    assert!(error.starts_with("the turn of 'web' failed: ") && error.contains("disk"), "{error}");
    assert_eq!(reply["final_answer"], "Is there a cache?");
    assert_eq!(reply["total_cost_usd"], 0.25);
    // What the failed one has said is there as well.
    assert_eq!(all(&reply, "message"), ["Is there a cache?", "1 thought"]);
    assert_eq!(all(&reply, "error_type"), [Value::Null, json!("cli_error")]);
    assert_eq!((world.turns("infra"), world.turns("web")), (1, 1));

    // The very first, and one whose directory is gone.
    for script in ["exit 3", ""] {
        let world = world_of(&[], &["never"], "");
        world.agent("infra", script);
        if script.is_empty() {
            std::fs::remove_dir_all(world.path("infra")).expect("its directory");
        }
        let reply = talk(&world, json!({}));
        assert_eq!(all(&reply, "agent"), ["infra"], "{reply}");
        assert_eq!((&reply["final_answer"], &reply["resolved"]), (&json!(""), &json!(false)));
        assert!(reply["error"].is_string() && reply["error_type"].is_string(), "{reply}");
        // As a text, since -0.0 equals 0.0.
        assert_eq!(reply["total_cost_usd"].to_string(), "0.0");
        assert_eq!(world.turns("web"), 0);
    }
}

#[test]
fn it_ends_where_a_side_repeats_itself_if_somebody_watches_for_it() {
    let said = "one two three four five six seven eight nine ten";
    let again = "One two three, four five six seven eight nine eleven";
    let other = "one two three four five six seven eight NEW WORDS";
    let repeats = |second: &str, more: &str, policy: Value| {
        let world = world_of(&[said, second, "third"], &["yes", "so it is", "fine"], more);
        talk(&world, policy)
    };
    for (more, policy) in [
        ("", json!({"policy": "no-progress"})),
        ("", json!({"policy": " no-progress "})),
        ("  policies: {dialogue: no-progress}\n", json!({})),
    ] {
        let reply = repeats(again, more, policy);
        assert_eq!((&reply["resolved"], &reply["policy"]), (&json!(false), &json!("no-progress")));
        let reason = reply["reason"].as_str().expect("a reason");
        assert!(reason.contains("infra repeats itself"), "{reason}");
        assert_eq!((&reply["rounds"], &reply["final_answer"]), (&json!(2), &json!(again)));
    }
    let reply = repeats(other, "", json!({"policy": "no-progress"}));
    assert_eq!(reply["rounds"], 3, "{reply}");
    // The call decides before the config does.
    let settings = "  policies: {dialogue: no-progress}\n";
    let reply = repeats(again, settings, json!({"policy": "resolved"}));
    assert_eq!((&reply["rounds"], &reply["policy"]), (&json!(3), &json!("resolved")), "{reply}");
}

#[test]
fn it_ends_where_it_has_cost_as_much_as_it_may() {
    let texts = ["one", "two", "three"];
    let entry = "policies:\n  budget: {config: {max_usd: 0.7}}\n";
    let world = world_of(&texts, &texts, entry);
    let reply = talk(&world, json!({"policy": "budget"}));
    let reason = reply["reason"].as_str().expect("a reason");
    assert!(reason.contains("$0.7500") && reason.contains("0.7"), "{reason}");
    assert_eq!((&reply["total_cost_usd"], &reply["final_answer"]), (&json!(0.75), &json!("two")));
    assert_eq!((world.turns("infra"), world.turns("web")), (2, 1));

    // It has to be told how much.
    for entry in ["", "policies:\n  budget: {config: {max_usd: 0}}\n"] {
        let world = world_of(&texts, &texts, entry);
        let reply = talk(&world, json!({"policy": "budget"}));
        let error = reply["error"].as_str().unwrap_or_else(|| panic!("{reply}"));
        assert!(error.starts_with("policy 'budget' (") && error.contains("`max_usd`"), "{error}");
        assert_eq!((world.turns("infra"), world.turns("web")), (0, 0));
    }
}

#[test]
fn what_cannot_be_talked_about_costs_nothing() {
    let texts = ["never"];
    let world = world_of(&texts, &texts, "");
    let mut client = Client::connect(&world);
    let component = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/built/dialogue-resolved.wasm");
    for (key, value, part) in [
        ("requester", json!("nobody"), "requester: Unknown agent: 'nobody'"),
        ("responder", json!("nobody"), "responder: Unknown agent: 'nobody'"),
        ("requester", json!(null), "'requester' is missing"),
        ("responder", json!(""), "'responder' is missing"),
        ("topic", json!(" \n"), "'topic' is missing"),
        ("topic", json!(7), "'topic' has to be a text"),
        ("max_rounds", json!("many"), "'max_rounds' has to be a whole number"),
        ("max_rounds", json!(1.5), "'max_rounds' has to be a whole number"),
        ("policy", json!([]), "'policy' has to be a text"),
        ("policy", json!("no-such"), "there is no dialogue policy 'no-such'"),
        ("policy", json!("synthesize"), "there is no dialogue policy 'synthesize'"),
        ("policy", json!(component), "there is no dialogue policy"),
        ("policy", json!("../dialogue-resolved.wasm"), "there is no dialogue policy"),
    ] {
        let reply = client.tool("dispatch_dialogue", call("Why?", json!({key: value})));
        let error = reply["error"].as_str().unwrap_or_else(|| panic!("{key} {value}: {reply}"));
        assert!(error.starts_with(part), "{key} {value}: {error}");
        assert!(reply.get("conversation").is_none(), "{reply}");
    }
    let yaml = world.agents_yaml(&["web", "infra"]);
    world.config(&format!("{yaml}  max_concurrency: none\n"));
    let reply = client.tool("dispatch_dialogue", call("Why?", json!({})));
    assert!(reply["error"].as_str().is_some_and(|e| e.starts_with("nothing is dispatched")));
    assert_eq!((world.turns("infra"), world.turns("web")), (0, 0));
}

#[test]
fn a_chain_of_dispatches_ends_here_too() {
    let world = world_of(&["never"], &["never"], "  max_dispatch_depth: 1\n");
    let mut command = world.command();
    command.arg("serve").env("AGENT_DISPATCH_DEPTH", "1");
    let mut client = Client::spawn(&mut command, crate::support::mcp::Streams::Sockets);
    client.initialize();
    let reply = client.tool("dispatch_dialogue", call("Why?", json!({})));
    assert_eq!(reply["error_type"], "recursion", "{reply}");
    assert_eq!((world.turns("infra"), world.turns("web")), (0, 0));
}

#[test]
fn an_agent_may_talk_with_itself_in_two_conversations() {
    let world = world_of(&["Is it slow?", "It is.", "Then add a cache. [RESOLVED]"], &[], "");
    let call = json!({"requester": "infra", "responder": "infra", "topic": "Why?"});
    let reply = Client::connect(&world).tool("dispatch_dialogue", call);
    assert_eq!(reply["final_answer"], "Then add a cache.", "{reply}");
    let sessions = all(&reply, "session_id");
    assert_eq!(sessions[0], sessions[2]);
    assert_ne!(sessions[0], sessions[1]);
}

#[test]
fn every_turn_is_had_whatever_was_said_before() {
    let world = world_of(&["Yes. [RESOLVED]", "No. [RESOLVED]"], &[], "");
    let mut client = Client::connect(&world);
    for answer in ["Yes.", "No."] {
        let reply = client.tool("dispatch_dialogue", call("Why?", json!({})));
        assert_eq!(reply["final_answer"], answer);
    }
    assert_eq!(client.tool("cache_stats", json!({}))["size"], 0);
}

#[test]
fn a_client_hears_of_each_turn() {
    let world = world_of(&["Is there\\na cache?", "Add one. [RESOLVED]"], &["None."], "");
    let mut client = Client::connect(&world);
    let (notices, reply) = client.watch("dispatch_dialogue", call("Why?", json!({})));
    assert_eq!(reply["resolved"], true);
    let heard: Vec<&str> = notices
        .iter()
        .map(|notice| {
            notice.rsplit_once(": ").map_or("", |(head, tail)| {
                // How long it takes by now is nobody's business here.
                if tail.ends_with(" s") { head } else { notice }
            })
        })
        .collect();
    let expected = [
        "turn 1: 'infra' works",
        "turn 1: 'infra' says: Is there a cache?",
        "turn 2: 'web' works",
        "turn 2: 'web' says: None.",
        "turn 3: 'infra' works",
        "turn 3: 'infra' says: Add one. [RESOLVED]",
    ];
    assert_eq!(heard, expected);

    let world = world_of(&["What?"], &[], "");
    world.agent("web", "exit 3");
    let (notices, _) = Client::connect(&world).watch("dispatch_dialogue", call("Why?", json!({})));
    let last = notices.last().map(String::as_str);
    assert_eq!(last, Some("turn 2: 'web' has failed (cli_error)"));
}
