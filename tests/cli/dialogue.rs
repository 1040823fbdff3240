//! `dialogue`: what both said, the answer, and how it ends.

use std::process::Stdio;

use serde_json::json;

use super::signal;
use crate::support::World;

/// A world in which shop asks infra.
fn world(infra: &str, shop: &str) -> World {
    let world = World::new();
    world.agent("infra", infra);
    world.agent("shop", shop);
    world.config(&world.agents_yaml(&["infra", "shop"]));
    world
}

const ASK: [&str; 4] = ["dialogue", "shop", "infra", "why so slow?"];

#[test]
fn a_dialogue_ends_with_its_answer() {
    let world = world("answer Is it cached?", "answer No: cache it. **[RESOLVED]**");
    let ran = world.run(&ASK);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = "## Round 1: infra (responder)\nIs it cached?\n\n\
        ## Round 1: shop (requester)\nNo: cache it. **[RESOLVED]**\n\n\
        ## Answer [RESOLVED]\nNo: cache it.\n";
    assert_eq!(ran.stdout, expected);
    let beside: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(beside[0], "turn 1: infra works");
    assert!(beside[1].starts_with("turn 1: infra has answered, "), "{ran:?}");
    assert!(beside[1].ends_with(", $0.25: Is it cached?"), "{ran:?}");
    assert_eq!(beside[4..], ["note: the dialogue took 2 turns, 2.5 s and $0.50"]);

    let json = world.run(&[&ASK[..], &["--json"]].concat()).json();
    assert_eq!((&json["resolved"], &json["final_answer"]), (&json!(true), &json!("No: cache it.")));
    assert!(json["conversation"][1]["session_id"].is_string());
}

#[test]
fn one_that_is_not_resolved_is_exit_code_1_and_says_why() {
    let world = world("answer Is it cached?", "answer What is a cache?");
    let ran = world.run(&[&ASK[..], &["--rounds", "1"]].concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.ends_with("\n\n## Answer [NOT RESOLVED]\nIs it cached?\n"), "{ran:?}");
    let why =
        "note: the dialogue ended without being resolved: not resolved within max_rounds = 1\n";
    assert!(ran.stderr.ends_with(why), "{ran:?}");
    let ran = world.run(&[&ASK[..], &["--policy", "no-progress"]].concat());
    assert!(ran.stderr.contains("infra repeats itself"), "{ran:?}");

    world.agent("shop", "exit 3");
    let ran = world.run(&ASK);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("## Round 1: shop (requester)\nerror: the agent CLI"), "{ran:?}");
    assert!(ran.stderr.contains("error: the turn of 'shop' failed: "), "{ran:?}");

    let ran = world.run(&["dialogue", "shop", "nobody", "why?"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.starts_with("error: responder: Unknown agent: 'nobody'"), "{ran:?}");
    for rounds in ["0", "11", "many"] {
        assert_eq!(world.run(&[&ASK[..], &["--rounds", rounds]].concat()).code, Some(2));
    }
}

#[test]
fn an_interrupted_dialogue_still_shows_what_was_said() {
    let world = world("answer Is it cached?", "touch ../asked\nhang");
    let mut command = world.command();
    let child = command.args(ASK).stdout(Stdio::piped()).spawn().expect("the binary runs");
    world.wait_for("asked");
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(shown.starts_with("## Round 1: infra (responder)\nIs it cached?\n"), "{shown}");
    assert!(shown.ends_with("## Answer [NOT RESOLVED]\nIs it cached?\n"), "{shown}");
    world.wait_for_no_process();
}
