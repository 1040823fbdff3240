//! `policy run`: one call of each kind, from flags and from JSON.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::component;
use crate::hostile::guest::Guest;
use crate::support::{Ran, World};

/// Runs a policy with this on standard input.
fn run_with(world: &World, arguments: &[&str], input: &str) -> Ran {
    let mut command = world.command();
    command.args(["policy", "run"]).args(arguments).args(["--input", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    Ran::of(&child.wait_with_output().expect("it ends"))
}

/// The decision on this input.
fn decision(arguments: &[&str], input: &Value) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let ran = run_with(&World::new(), &arguments, &input.to_string());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()["decision"].clone()
}

/// Why this input is refused.
fn refusal(arguments: &[&str], input: &Value) -> String {
    let ran = run_with(&World::new(), arguments, &input.to_string());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("help policy run"), "{ran:?}");
    ran.stderr
}

#[test]
fn a_request_is_worded_from_flags() {
    let world = World::new();
    let arguments = [
        "policy",
        "run",
        "classic",
        "--kind",
        "prompt",
        "--task",
        "look",
        "--context",
        "a log",
        "--goal",
        "know",
    ];
    let ran = world.run(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.stdout,
        "user: |-\n  ## Goal\n  know\n\n  ## Context\n  a log\n\n  ## Task\n  look\n"
    );
    assert!(ran.stderr.contains("prompt policy classic (classic 0.1.0 "), "{ran:?}");
    let json = world.run(&[&arguments[..], &["--json"]].concat()).json();
    assert_eq!(
        json["decision"],
        json!({"user": "## Goal\nknow\n\n## Context\na log\n\n## Task\nlook"})
    );
    assert_eq!((&json["kind"], &json["error"]), (&json!("prompt"), &Value::Null));
    assert!(json["ms"].as_f64().is_some_and(|ms| ms > 0.0), "{json}");
}

#[test]
fn a_reply_is_interpreted_with_the_whole_of_what_the_policy_says() {
    let trial = component("tests/policies/trial.wasm").display().to_string();
    let run = |interpret: &str| {
        let config = json!({"interpret": interpret}).to_string();
        let world = World::new();
        let arguments = [
            "policy",
            "run",
            &trial,
            "--task",
            "x",
            "--interpret",
            "all of it",
            "--config",
            &config,
        ];
        world.run(&[&arguments[..], &["--json"]].concat()).json()
    };
    assert_eq!(run("hint:soon")["decision"], json!({"edit": "keep", "hint": "soon"}));
    assert_eq!(run("replace:b")["decision"], json!({"edit": {"replace": "b"}}));
    let first = run("keep-first:3");
    assert_eq!(first["decision"], json!({"edit": {"keep_first": 3}}));
    assert_eq!(first["texts"], json!([{"what": "what stays", "text": "all"}]));
    // What the host refuses of it is refused here too.
    let refused = run("outcome:splendid");
    assert!(
        refused["decision"]["error"]["bad_decision"]
            .as_str()
            .is_some_and(|it| it.contains("splendid"))
    );
    assert!(refused["error"].as_str().is_some_and(|it| it.contains("policy 'trial' (trial 0.1.0")));
}

#[test]
fn a_failure_is_told_and_ends_with_1() {
    let trial = component("tests/policies/trial.wasm").display().to_string();
    let world = World::new();
    for (config, word, part) in [
        (json!({"render": "panic"}), "trap", "unreachable"),
        (json!({"render": "loop"}), "limit", "timeout_ms = 1000"),
        (json!({"render": "fail"}), "failed", ""),
        (json!({"render": "empty"}), "bad_decision", "the prompt is empty"),
        (json!({"colour": "red"}), "invalid_config", "colour"),
    ] {
        let config = config.to_string();
        let arguments = ["policy", "run", &trial, "--task", "x", "--config", &config];
        let ran = world.run(&[&arguments[..], &["--json"]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let said = &ran.json()["decision"]["error"][word];
        assert!(said.as_str().is_some_and(|said| said.contains(part)), "{word}: {ran:?}");
        let ran = world.run(&arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains("error: policy 'trial'"), "{ran:?}");
    }
}

#[test]
fn a_project_is_described() {
    let world = World::new();
    fs::create_dir(world.path("shop")).expect("a folder");
    fs::write(world.path("shop/CLAUDE.md"), "# Shop\n\nTakes orders.\n").expect("a file");
    let ran = world.run(&["policy", "run", "detailed", "--project", "shop", "--json"]);
    let decision = &ran.json()["decision"];
    assert!(
        decision["text"].as_str().is_some_and(|text| text.contains("Takes orders.")),
        "{ran:?}"
    );
    assert_eq!(decision["stacks"], json!([]));
    let refused = world.run(&["policy", "run", "detailed", "--project", "nowhere"]);
    assert!(refused.stderr.contains("nowhere is no directory"), "{refused:?}");
}

#[test]
fn situations_are_the_interfaces_own() {
    let settled = |text: &str| json!({"settled": {"text": text}});
    let items = json!([
        {"agent": "shop", "state": settled("Yes.")},
        {"agent": "infra", "task": "Is it so?", "state": {"settled": "yes."}},
        {"agent": "billing", "state": "running"},
    ]);
    assert_eq!(decision(&["majority"], &json!({"items": items})), json!({"answer": {"item": 0}}));
    let items = json!([{"agent": "a", "state": settled("1")}, {"agent": "b", "state": "running"}]);
    assert_eq!(decision(&["majority"], &json!({"items": items})), json!("wait"));
    let failed = json!({"settled": {"error_type": "timeout", "error": "too slow"}});
    let gave_up = decision(&["majority"], &json!({"items": [{"agent": "a", "state": failed}]}));
    assert!(gave_up["give_up"].as_str().is_some_and(|said| said.contains("too slow")), "{gave_up}");

    // The agent that the caller chose is asked, with pieces that name the replies.
    let input = json!({"aggregator": "judge", "items": [
        {"agent": "a", "state": settled("one")}, {"agent": "b", "state": settled("two")}]});
    let asked = decision(&["synthesize"], &input);
    let ask = &asked["ask"][0];
    assert_eq!(
        (&ask["agent"], &ask["answer_format"]),
        (&json!("judge"), &json!("text")),
        "{asked}"
    );
    assert!(ask["context"].to_string().contains(r#""reply":{"reply":1,"start":0"#), "{asked}");
    let world = World::new();
    let shown = run_with(&world, &["synthesize"], &input.to_string());
    assert!(shown.stdout.contains("# the context for judge, put together"), "{shown:?}");
    assert!(shown.stdout.contains("two"), "{shown:?}");

    let turns = json!([{"side": "responder", "reply": {"text": "Use a cache. [RESOLVED]"}}]);
    let resolved = decision(&["resolved"], &json!({"topic": "slow", "turns": turns}));
    assert_eq!(resolved, json!({"resolved": [{"reply": {"reply": 0, "start": 0, "end": 12}}]}));
    let spoken = decision(&["resolved"], &json!({"topic": "slow"}));
    assert_eq!(spoken["speak"]["to"], "responder", "{spoken}");
}

/// What is left to a policy is what it was granted, but for what has been used up, unless it
/// is said.
#[test]
fn what_is_left_follows_from_what_was_granted() {
    let mut input = json!({"aggregator": "j", "items": [
        {"agent": "a", "state": {"settled": "one"}}, {"agent": "b", "state": {"settled": "two"}}]});
    let decided = |input: &Value| decision(&["judge-and-refine"], input);
    assert!(decided(&input).get("ask").is_some(), "as the config's defaults");
    input["granted"] = json!({"rounds": 0});
    assert!(decided(&input).to_string().contains("Nothing was left"), "{}", decided(&input));
    input["left"] = json!({"rounds": 1});
    assert!(decided(&input).get("ask").is_some(), "what is said is so");
}

#[test]
fn a_key_that_nobody_knows_is_an_error() {
    for (policy, input, part) in [
        ("xml", json!({"tsk": "x"}), "tsk is not known; there are: agent, task"),
        ("xml", json!({"task": "x", "agent": {"nam": "y"}}), "agent.nam is not known"),
        ("xml", json!({"task": " "}), "task is missing"),
        ("xml", json!({"task": "x", "depth": "deep"}), "the request"),
        ("xml", json!(["x"]), "the input has to be a mapping"),
        (
            "majority",
            json!({"items": [{"agent": "a", "state": "done"}]}),
            "items[0].state has to be",
        ),
        ("majority", json!({"items": [{"agent": "a", "id": 4}]}), "items[0].id has to be 0"),
        ("majority", json!({"items": "a"}), "items has to be a list"),
        ("resolved", json!({}), "topic is missing"),
        ("resolved", json!({"topic": "x", "turns": [{"side": "left"}]}), "turns[0].side has to be"),
        (
            "resolved",
            json!({"topic": "x", "turns": [{"side": "responder", "reply": {"txt": ""}}]}),
            "turns[0].reply.txt is not known",
        ),
    ] {
        let said = refusal(&[policy], &input);
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_decision_that_the_host_refuses_is_refused_here_too() {
    let world = World::new();
    // It waits, whatever has happened.
    fs::write(world.path("waits.wasm"), Guest::steps("aggregate-policy").build()).expect("a file");
    let decided = |state: &str| {
        let input = json!({"items": [{"agent": "a", "state": state}]});
        let ran = run_with(&world, &["waits.wasm", "--json"], &input.to_string());
        (ran.code, ran.json()["decision"].clone())
    };
    assert_eq!(decided("running"), (Some(0), json!("wait")));
    let bad = json!({"error": {"bad_decision": "it waits, and nothing runs"}});
    assert_eq!(decided("cancelled"), (Some(1), bad));
}

#[test]
fn the_examples_of_its_help_are_inputs() {
    let world = World::new();
    let help = world.run(&["help", "policy", "run"]).stdout;
    let mut seen = 0;
    for line in help.lines() {
        let mut words = line.split_whitespace();
        let (Some(kind), true) = (words.next(), line.contains(" {\"")) else { continue };
        let input = &line[line.find('{').expect("an input")..];
        let policy = match kind {
            "prompt" => "xml",
            "describe" => "detailed",
            "aggregate" => "majority",
            "dialogue" => "resolved",
            other => panic!("{other}: {line}"),
        };
        let ran = run_with(&world, &[policy, "--json"], input);
        let decision = ran.json()["decision"].clone();
        // A folder without anything in it says nothing of itself, and that is an answer.
        assert!(ran.code == Some(0) || kind == "describe", "{line}: {ran:?}");
        assert!(!decision.is_null(), "{line}: {ran:?}");
        seen += 1;
    }
    assert_eq!(seen, 5, "{help}");
}
