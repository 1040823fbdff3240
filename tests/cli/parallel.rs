//! `parallel`: what it reads, what it makes of it, and how it ends.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use super::signal;
use crate::support::{Ran, World};

/// A world with these agents.
fn world(agents: &[(&str, &str)]) -> World {
    let world = World::new();
    let names: Vec<&str> = agents.iter().map(|(name, _)| *name).collect();
    for (name, script) in agents {
        world.agent(name, script);
    }
    world.config(&world.agents_yaml(&names));
    world
}

/// Runs it with this on standard input.
fn given(world: &World, text: &str, flags: &[&str]) -> Ran {
    let mut command = world.command();
    command.arg("parallel").args(flags).stdin(Stdio::piped());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    // It does not read where the command line is enough for it to refuse.
    let _ = child.stdin.take().expect("standard input").write_all(text.as_bytes());
    Ran::of(&child.wait_with_output().expect("it ends"))
}

#[test]
fn answers_stand_under_their_agents_in_the_order_of_the_tasks() {
    let world =
        world(&[("infra", "wait ../shop/done\nanswer one"), ("shop", "answer two\ntouch done")]);
    fs::write(
        world.path("tasks.yaml"),
        "- {agent: infra, task: look}\n- agent: shop\n  task: |\n    look\n    twice\n  goal: peace\n",
    )
    .expect("a file");
    let ran = world.run(&["parallel", "tasks.yaml"]);
    let expected = "## Agent: infra [OK]\none\n\n## Agent: shop [OK]\ntwo\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{ran:?}");
    assert!(!ran.stderr.contains("by hand"), "{ran:?}");

    let json = given(&world, r#"[{"agent": "shop", "task": "\ud83e\udd80"}]"#, &["--json"]);
    assert_eq!(json.code, Some(0), "{json:?}");
    let json = json.json();
    assert_eq!((&json[0]["result"], &json[0]["cost_usd"]), (&json!("two"), &json!(0.25)));
    assert!(json[0]["session_id"].is_string());
}

#[test]
fn json_is_all_that_was_said_and_nothing_that_a_terminal_obeys() {
    let said = "a\u{7f}b\u{9b}2Jc\u{85}d\u{1b}[31me ä\u{a0}🦀";
    let world = world(&[("infra", &format!("answer {}", said.replace('\u{1b}', "\\u001b")))]);
    for arguments in [&["dispatch", "infra", "x", "--json"][..], &["parallel", "tasks", "--json"]] {
        fs::write(world.path("tasks"), "[{agent: infra, task: x}]").expect("a file");
        let ran = world.run(arguments);
        let json = ran.json();
        let reply = json.get(0).unwrap_or(&json);
        assert_eq!(reply["result"], said, "{ran:?}");
        let obeyed = |character: char| character.is_control() && character != '\n';
        assert!(!ran.stdout.contains(obeyed), "{ran:?}");
    }
}

#[test]
fn every_field_gets_to_its_agent() {
    let world = world(&[("infra", "record\nanswer one")]);
    let item = json!([{
        "agent": "infra", "task": "look", "context": "a log", "caller": "backend", "goal": "peace",
        "timeout_seconds": 20, "fresh": true,
    }]);
    assert_eq!(given(&world, &item.to_string(), &["-"]).code, Some(0));
    assert_eq!(
        world.recorded("infra", "prompt"),
        "## Goal\npeace\n\n## Dispatched by\nbackend\n\n## Context\na log\n\n## Task\nlook"
    );
}

#[test]
fn one_that_fails_keeps_no_other_from_its_answer() {
    let world = world(&[("infra", "exit 3"), ("shop", "answer two")]);
    let tasks = "[{agent: infra, task: look}, {agent: shop, task: look}]";
    let ran = given(&world, tasks, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.starts_with("## Agent: infra [FAILED]\nerror: the agent CLI"), "{ran:?}");
    assert!(ran.stdout.ends_with("\n\n## Agent: shop [OK]\ntwo\n"), "{ran:?}");
    let json = given(&world, tasks, &["--json"]);
    assert_eq!((json.code, &json.json()[0]["success"]), (Some(1), &json!(false)));
}

#[test]
fn answers_become_one_as_the_file_or_a_flag_says() {
    let world =
        world(&[("infra", "answer one"), ("shop", "answer two"), ("hub", "record\nanswer three")]);
    let tasks = "
dispatches:
  - &look {agent: infra, task: look}
  - {<<: *look, agent: shop}
aggregate: hub
";
    let ran = given(&world, tasks, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let one = "\n\n## Answer by policy synthesize, from hub [OK]\nthree\n";
    assert!(ran.stdout.ends_with(one), "{ran:?}");
    assert!(ran.stderr.contains("hub, for the policy, has answered, "), "{ran:?}");
    assert!(world.recorded("hub", "prompt").contains("## Agent: shop [OK]\ntwo"));

    let ran = given(&world, tasks, &["--policy", "concatenate", "--aggregate", ""]);
    let one = "\n\n## Answer by policy concatenate [OK]\n## Agent: infra [OK]\none\n\n## Agent: shop [OK]\ntwo\n";
    assert!(ran.stdout.ends_with(one), "{ran:?}");
    let json = given(&world, tasks, &["--policy", "majority", "--json"]).json();
    assert_eq!(json["aggregated"]["policy"], "majority");
    assert_eq!(json["individual_results"].as_array().map(Vec::len), Some(2));

    world.agent("hub", "exit 3");
    assert_eq!(given(&world, tasks, &[]).code, Some(1));
    let ran = given(&world, tasks, &["--policy", "nobody"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("'nobody'"), "{ran:?}");
}

#[test]
fn whom_a_policy_no_longer_needs_has_not_failed() {
    let world = world(&[("infra", "answer one"), ("shop", "hang")]);
    let tasks = "[{agent: infra, task: look}, {agent: shop, task: look}]";
    let ran = given(&world, tasks, &["--policy", "first-success"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("## Agent: shop [NOT NEEDED]\n"), "{ran:?}");
    assert!(ran.stdout.ends_with("## Answer by policy first-success, from infra [OK]\none\n"));
}

#[test]
fn a_policy_that_is_stopped_says_at_what() {
    let world = world(&[("infra", "answer one"), ("hub", "answer three")]);
    let agents = world.agents_yaml(&["infra", "hub"]);
    world.config(&format!("{agents}  aggregate: {{max_asks: 0}}\n"));
    let ran = given(&world, "{dispatches: [{agent: infra, task: look}], aggregate: hub}", &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let one = "\n\n## Answer by policy synthesize, stopped: asks [FAILED]\nerror: ";
    assert!(ran.stdout.contains(one), "{ran:?}");
    assert!(ran.stderr.contains("note: settings.aggregate.max_asks bounds"), "{ran:?}");
}

#[test]
fn a_mistake_is_told_by_item_and_field_before_anything_runs() {
    let world = world(&[("infra", "touch ../ran\nanswer one")]);
    let well = "{agent: infra, task: look}";
    for (tasks, told) in [
        (format!("[{well}, {{agent: infra}}]"), "dispatches[1].task is missing or blank"),
        (format!("[{well}, {{task: look}}]"), "dispatches[1].agent is missing or blank"),
        (
            format!("[{well}, {{agent: infra, tsk: look, task: x}}]"),
            "dispatches[1].tsk is not known: an item may have agent, task,",
        ),
        ("[{agent: infra, task: 7}]".into(), "dispatches[0].task has to be a text, not a number"),
        (
            "[{agent: infra, task: x, timeout_seconds: soon}]".into(),
            "dispatches[0].timeout_seconds has to be a whole number of seconds",
        ),
        (
            "[{agent: infra, task: x, fresh: 1}]".into(),
            "dispatches[0].fresh has to be true or false",
        ),
        (format!("[{well}, infra]"), "dispatches[1] has to be a mapping, not a text"),
        (
            format!("[{well}, {{agent: nobody, task: x}}]"),
            "dispatches[1].agent: Unknown agent: 'nobody'",
        ),
        ("{dispatches: {}}".into(), "dispatches has to be a list of items, not a mapping"),
        (format!("{{dispatches: [{well}], agregate: hub}}"), "agregate is not known: the file may"),
        (format!("{{dispatches: [{well}], aggregate: [hub]}}"), "aggregate has to be a text"),
        ("{aggregate: hub}".into(), "dispatches is missing"),
        ("[]".into(), "dispatches is empty"),
        (String::new(), "there are no tasks: it is empty"),
        ("look".into(), "the tasks have to be a list of items, not a text"),
        ("[{agent: infra".into(), "the tasks are neither YAML nor JSON: "),
    ] {
        let ran = given(&world, &tasks, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{tasks}");
        assert!(ran.stderr.starts_with(&format!("error: {told}")), "{tasks}: {ran:?}");
        let ran = given(&world, &tasks, &["--json"]);
        let error = ran.json()["error"].as_str().expect("an error").to_owned();
        assert!(error.starts_with(told), "{tasks}: {error}");
    }
    let ran = world.run(&["parallel", "nowhere.yaml"]);
    assert!(
        ran.stderr.starts_with("error: the tasks cannot be read from nowhere.yaml: "),
        "{ran:?}"
    );
    assert!(!world.path("ran").exists());
}

#[test]
fn an_interrupted_call_still_shows_what_was_paid_for() {
    let said =
        r#"out {"type":"assistant","message":{"content":[{"type":"text","text":"so far"}]}}"#;
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let world = world(&[
            ("infra", "answer paid\ntouch ../paid"),
            ("shop", &format!("{said}\ntouch ../started\nhang")),
        ]);
        let tasks = "[{agent: infra, task: look}, {agent: shop, task: look}]";
        fs::write(world.path("tasks"), tasks).expect("a file");
        let mut command = world.command();
        command.args(["parallel", "tasks", "--json"]).stdout(Stdio::piped());
        let child = command.spawn().expect("the binary runs");
        world.wait_for("paid");
        world.wait_for("started");
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code));
        let replies: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (&replies[0]["result"], &replies[0]["cost_usd"]),
            (&json!("paid"), &json!(0.25))
        );
        let cut = &replies[1];
        assert_eq!((&cut["result"], &cut["error_type"]), (&json!("so far"), &json!("cancelled")));
        world.wait_for_no_process();
    }
}
