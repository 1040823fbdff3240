//! The command line: what it prints, where, and how it ends.

mod dialogue;
mod parallel;
mod progress;

use std::process::{Child, Command, Stdio};

use crate::support::{BINARY, Ran, World};

/// Sends it a signal, as a terminal or an init system does.
fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill runs");
    assert!(killed.success());
}

#[test]
fn dispatch_prints_the_answer_and_beside_it_how_to_go_on() {
    let world = World::with_agent("answer all is well");
    let ran = world.run(&["dispatch", "infra", "look"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "all is well\n"));
    let beside: Vec<&str> = ran.stderr.lines().collect();
    let [works, answered, by_hand] = beside[..] else { panic!("{ran:?}") };
    assert_eq!(works, "infra works");
    assert!(answered.starts_with("infra has answered, "), "{ran:?}");
    assert!(by_hand.starts_with("note: to go on with this conversation by hand: cd "), "{ran:?}");
}

#[test]
fn dispatch_json_has_the_keys_of_the_python_tool_in_their_order() {
    let world = World::with_agent("answer all is well");
    let ran = world.run(&["dispatch", "infra", "look", "--json"]);
    let reply = ran.json();
    let session = reply["session_id"].as_str().expect("session_id").to_owned();
    assert_eq!(session.len(), 36);
    let expected = format!(
        r#"{{
  "agent": "infra",
  "success": true,
  "result": "all is well",
  "session_id": "{session}",
  "cost_usd": 0.25,
  "duration_ms": 1234,
  "num_turns": 2
}}
"#
    );
    assert_eq!(ran.stdout, expected);
}

#[test]
fn test_asks_something_harmless() {
    let world = World::with_agent("record\nanswer a project");
    let ran = world.run(&["test", "infra"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "a project\n"));
    assert_eq!(world.recorded("infra", "prompt"), "Say in one sentence what this project is.");
    world.run(&["test", "infra", "what now?"]);
    assert_eq!(world.recorded("infra", "prompt"), "what now?");
}

#[test]
fn a_dry_run_shows_the_exact_prompt_and_command_line_and_runs_nothing() {
    let world = World::with_agent("record\nanswer no");
    let arguments = [
        "dispatch",
        "infra",
        "look",
        "--context",
        "a log",
        "--caller",
        "backend",
        "--goal",
        "peace",
    ];
    let dry = world.run(&[&arguments[..], &["--dry-run", "--json"]].concat());
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(!world.path("infra/prompt").exists(), "nothing may have run");
    let dry = dry.json();

    assert_eq!(world.run(&arguments).code, Some(0));
    assert_eq!(dry["prompt"], world.recorded("infra", "prompt").as_str());
    assert_eq!(dry["directory"], world.recorded("infra", "directory").as_str());
    // All but the session's id, which is new each time.
    let same = |arguments: Vec<&str>| -> Vec<String> {
        let kept = arguments.into_iter().filter(|text| !text.starts_with("--session-id="));
        kept.map(str::to_owned).collect()
    };
    let shown = dry["command"].as_array().expect("command").iter();
    let shown = same(shown.skip(1).map(|text| text.as_str().expect("text")).collect());
    let given = world.recorded("infra", "arguments");
    assert_eq!(shown, same(given.lines().collect()));

    let text = world.run(&[&arguments[..], &["--dry-run"]].concat()).stdout;
    assert!(
        text.contains(
            "## Goal\npeace\n\n## Dispatched by\nbackend\n\n## Context\na log\n\n## Task\nlook\n"
        ),
        "{text}"
    );
    assert!(text.contains("-p --output-format stream-json --verbose"), "{text}");
    assert!(text.contains("by policy classic"), "{text}");
}

#[test]
fn a_failure_goes_to_standard_error_with_exit_code_1() {
    let world = World::with_agent("err it broke\nexit 3");
    let ran = world.run(&["dispatch", "infra", "look"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("it broke"), "{ran:?}");
    assert!(ran.stderr.contains('3'), "{ran:?}");

    world.agent("infra", "err \u{1b}]0;owned\u{7}\u{1b}[2Jgone\nexit 3");
    let ran = world.run(&["dispatch", "infra", "look"]);
    assert!(ran.stderr.contains("gone") && !ran.stderr.contains('\u{1b}'), "{ran:?}");

    let ran = world.run(&["dispatch", "nobody", "look"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_eq!(ran.stderr, "error: Unknown agent: 'nobody'. Available: infra\n");

    assert_eq!(world.run(&["dispatch", "infra", " "]).code, Some(1));
}

#[test]
fn a_refusal_is_json_where_json_was_asked_for() {
    let world = World::with_agent("answer hello");
    let ran = world.run(&["dispatch", "nobody", "look", "--json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.json()["error"], "Unknown agent: 'nobody'. Available: infra");
    world.config("agents: [");
    assert!(world.run(&["list", "--json"]).json()["error"].is_string());
}

#[test]
fn an_interrupted_dispatch_shows_what_was_said_and_can_be_resumed() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let said =
            r#"out {"type":"assistant","message":{"content":[{"type":"text","text":"so far"}]}}"#;
        let world = World::with_agent(&format!("{said}\ntouch ../started\nhang"));
        let mut command = world.command();
        command.args(["dispatch", "infra", "look", "--json"]).stdout(Stdio::piped());
        let child = command.spawn().expect("the binary runs");
        world.wait_for("started");
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code));
        let reply: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (&reply["result"], &reply["error_type"]),
            (&"so far".into(), &"cancelled".into())
        );
        assert!(reply["session_id"].is_string());
        world.wait_for_no_process();
    }
}

#[test]
fn a_second_signal_waits_for_nothing() {
    let world = World::with_agent("ignore-term\ntouch ../started\nhang");
    let mut command = world.command();
    command.args(["dispatch", "infra", "look"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary runs");
    world.wait_for("started");
    // Two of one kind could be taken for one.
    signal(&child, "INT");
    signal(&child, "TERM");
    let ran = Ran::of(&child.wait_with_output().expect("it ends"));
    assert!(matches!(ran.code, Some(130 | 143)), "{ran:?}");
    assert_eq!(ran.stderr, "infra works\n", "how it ended was not waited for");
    world.wait_for_no_process();
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let world = World::new();
    let mut child = world.command().arg("demo").stdout(Stdio::null()).spawn().expect("it runs");
    while std::fs::read_dir(world.path("tmp")).expect("tmp").count() == 0 {
        assert_eq!(child.try_wait().expect("a child"), None, "it has not begun");
        std::thread::yield_now();
    }
    signal(&child, "INT");
    child.wait().expect("it ends");
    assert_eq!(std::fs::read_dir(world.path("tmp")).expect("tmp").count(), 0);
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let world = World::new();
    for arguments in [&[][..], &["no-such-command"], &["dispatch"], &["dispatch", "a", "b", "--no"]]
    {
        let ran = world.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ran.stderr.contains("Usage"), "{ran:?}");
    }
    assert_eq!(
        world.run(&["--version"]).stdout,
        concat!("agent-dispatch ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_pipe_gets_no_colour() {
    let world = World::with_agent("answer fine");
    for arguments in [
        &["list"][..],
        &["demo"],
        &["dispatch", "nobody", "x"],
        &["dispatch", "infra", "x", "--dry-run"],
    ] {
        let ran = world.run(arguments);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\u{1b}'), "{ran:?}");
    }
}

#[test]
fn list_shows_agents_and_their_state() {
    let world = World::new();
    let infra = world.agent("infra", "");
    std::fs::write(infra.join("CLAUDE.md"), "# infra").expect("CLAUDE.md");
    world.config(&format!(
        "agents:\n  infra:\n    directory: {}\n    description: the infrastructure\n  gone:\n    directory: /no/such/place\n",
        infra.display()
    ));
    let listed = world.run(&["list"]);
    assert_eq!(listed.code, Some(0));
    let mut lines = listed.stdout.lines();
    assert_eq!(lines.next(), Some(&*format!("infra  ok  {}", infra.display())));
    assert_eq!(lines.next(), Some("       the infrastructure"));
    assert_eq!(lines.next(), Some("gone   missing  /no/such/place"));
    assert_eq!(lines.next(), Some("       /no/such/place does not exist"));

    let json = world.run(&["list", "--json"]).json();
    assert_eq!(json[0]["has_claude_md"], true);
    assert_eq!(json[0]["has_mcp_config"], false);
    assert_eq!((&json[0]["healthy"], &json[1]["healthy"]), (&true.into(), &false.into()));
}

#[test]
fn the_practice_agent_has_sessions_and_a_version_as_the_real_cli() {
    let world = World::new();
    let infra = world.agent("infra", "");
    let directory = infra.display();
    world.config(&format!(
        "agents: {{infra: {{directory: {directory}}}}}\nsettings: {{command: [{BINARY}, practice-agent]}}\n"
    ));
    let ran = world.run(&["dispatch", "infra", "look"]);
    let (_, session) = ran.stderr.split_once("--resume ").unwrap_or_else(|| panic!("{ran:?}"));
    let again = ["dispatch", "infra", "look", "--json", "--session", session.trim()];
    assert_eq!(world.run(&again).json()["session_id"], session.trim());
    let version = concat!("practice-agent: ", env!("CARGO_PKG_VERSION"), " (practice agent)");
    let doctor = world.run(&["doctor"]);
    assert!(doctor.stdout.contains(version), "{doctor:?}");
}

#[test]
fn the_demo_shows_every_form_and_leaves_nothing_behind() {
    let world = World::new();
    let ran = world.run(&["demo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "## Goal\ndebug a production crash",
        "<context",
        "I am the practice agent of infra",
        "logs/scheduler.log:3:",
        "infra uses Grep: ",
        "infra Grep returned: ",
        "## Answer by policy synthesize, from shop [OK]\nI am the practice agent of shop",
        "# what most of infra, shop, infra-xml say\nI am the practice agent of infra",
        "## Round 2: infra (responder)",
        "## Answer [RESOLVED]\n",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(ran.stdout.lines().count() <= 120, "{}", ran.stdout);
    let left = |folder: &str| std::fs::read_dir(world.path(folder)).expect(folder).count();
    assert_eq!((left("tmp"), left("home")), (0, 0));
    assert!(!world.config_file().exists());
}
