//! The child process of a dispatch: what it is given, and how it may end.

use serde_json::json;

use crate::support::mcp::Client;
use crate::support::{World, fake_agent};

#[test]
fn the_agent_runs_in_its_directory_with_its_prompt_on_standard_input() {
    let world = World::with_agent("record\nanswer hello");
    let ran = world.run(&["dispatch", "infra", "--json", "--", "--dangerously-look"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.recorded("infra", "prompt"), "--dangerously-look");
    let directory = world.path("infra").canonicalize().expect("a directory");
    assert_eq!(world.recorded("infra", "directory"), directory.to_str().expect("UTF-8"));
    let session = ran.json()["session_id"].as_str().expect("session_id").to_owned();
    assert!(world.recorded("infra", "arguments").contains(&format!("--session-id={session}")));
}

#[test]
fn the_environment_of_the_outer_session_stays_outside() {
    let world = World::with_agent("record\nanswer hello");
    let status = world
        .command()
        .args(["dispatch", "infra", "x"])
        .env("CLAUDECODE", "1")
        .env("CLAUDE_CODE_SESSION_ID", "outer")
        .env("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        .env("CLAUDE_CODE_USE_BEDROCK", "1")
        .status()
        .expect("the binary runs");
    assert!(status.success());
    let environment = world.recorded("infra", "environment");
    let value = |name: &str| {
        environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    assert_eq!(value("CLAUDECODE"), None);
    assert_eq!(value("CLAUDE_CODE_SESSION_ID"), None);
    assert_eq!(value("ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:9"));
    assert_eq!(value("CLAUDE_CODE_USE_BEDROCK"), Some("1"));
    assert_eq!(value("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"), Some("1"));
    assert_eq!(value("AGENT_DISPATCH_DEPTH"), Some("1"));
    assert_eq!(value("AGENT_DISPATCH_CHAIN"), Some("infra"));
    assert!(value("AGENT_DISPATCH_RUN").is_some());
}

#[test]
fn a_prompt_that_looks_like_a_command_gets_a_line_before_it() {
    let world = World::with_agent("record\nanswer hello");
    world.run(&["dispatch", "infra", "/help me"]);
    assert_eq!(world.recorded("infra", "prompt"), "\n/help me");
}

#[test]
fn a_long_prompt_and_a_long_answer_arrive_whole() {
    let world = World::with_agent("record\nrepeat 300000 0123456789");
    world.config(&format!("{}  inline_limit: 0\n", world.agents_yaml(&["infra"])));
    let mut client = Client::connect(&world);
    let task = "a long story ".repeat(100_000);
    let reply = client.tool("dispatch", json!({"agent": "infra", "task": task}));
    assert_eq!(reply["result"], "0123456789".repeat(300_000), "3 MB of answer");
    assert!(world.recorded("infra", "prompt") == task, "1.3 MB of prompt");
}

#[test]
fn a_chain_of_dispatches_ends_at_the_depth_limit() {
    let world = World::with_agent("record\nanswer hello");
    let run = |depth: &str| {
        let output = world
            .command()
            .args(["dispatch", "infra", "x", "--json"])
            .env("AGENT_DISPATCH_DEPTH", depth)
            .env("AGENT_DISPATCH_CHAIN", "a>b>c")
            .output()
            .expect("the binary runs");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    assert_eq!(run("2")["success"], true);
    std::fs::remove_file(world.path("infra/prompt")).expect("it ran");
    let reply = run("3");
    assert_eq!((&reply["success"], &reply["error_type"]), (&json!(false), &json!("recursion")));
    assert!(reply["error"].as_str().expect("error").contains("a > b > c > infra"), "{reply}");
    assert!(!world.path("infra/prompt").exists());
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::with_agent("answer hello");
    world.config(&world.agents_yaml(&["infra"]).replace("infra\n", "nowhere\n"));
    let reply = world.run(&["dispatch", "infra", "x", "--json"]).json();
    assert_eq!(reply["error_type"], "not_found", "{reply}");
    assert!(reply["error"].as_str().expect("error").contains("nowhere"), "{reply}");

    let program = fake_agent().display().to_string();
    world.config(&world.agents_yaml(&["infra"]).replace(&program, "no-such-program-anywhere"));
    let reply = world.run(&["dispatch", "infra", "x", "--json"]).json();
    assert_eq!(reply["error_type"], "not_found", "{reply}");
    assert!(
        reply["error"].as_str().expect("error").contains("no-such-program-anywhere"),
        "{reply}"
    );
}

#[test]
fn an_end_without_a_result_is_an_error_that_quotes_the_child() {
    let world = World::with_agent("err the disk is full\nexit 7");
    let reply = world.run(&["dispatch", "infra", "x", "--json"]).json();
    assert_eq!((&reply["success"], &reply["error_type"]), (&json!(false), &json!("cli_error")));
    let error = reply["error"].as_str().expect("error");
    assert!(error.contains("the disk is full") && error.contains('7'), "{error}");
}

#[test]
fn a_process_that_holds_the_output_open_is_not_waited_for() {
    let world = World::with_agent("leave-child\nanswer hello");
    assert_eq!(world.run(&["dispatch", "infra", "x"]).stdout, "hello\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_takes_too_long_is_ended_with_all_its_processes() {
    let world = World::with_agent("leave-child\nhang");
    world.config(&world.agents_yaml(&["infra"]).replace("settings:", "    timeout: 1\nsettings:"));
    let mut client = Client::connect(&world);
    let reply = client.tool("dispatch", json!({"agent": "infra", "task": "x"}));
    assert_eq!(reply["error_type"], "timeout", "{reply}");
    assert!(reply["session_id"].is_string(), "the session can be resumed: {reply}");
    assert_eq!(crate::support::marked_processes(&world), Vec::<String>::new());
}

/// What an agent does, and what the reply says of it.
struct Case {
    name: &'static str,
    script: &'static str,
    /// None for a success.
    error_type: Option<&'static str>,
    result: &'static str,
    /// What the error says, among other things.
    error: &'static str,
}

const CASES: [Case; 22] = [
    failure("a leader that ignores TERM", "ignore-term\nhang", "timeout", "", "after 5 s"),
    failure("a leader that stops itself", "signal STOP\nhang", "timeout", "", "after 5 s"),
    failure(
        "a leader that forks again at TERM",
        "leave daemon forks-on-term\nhang",
        "timeout",
        "",
        "",
    ),
    success("an answer without reading the prompt", "ignore-stdin\nanswer yes", "yes"),
    failure(
        "an end without reading the prompt",
        "ignore-stdin\nexit 3",
        "cli_error",
        "",
        "exit code 3",
    ),
    success("an answer before the output is closed", "answer yes\nclose-stdout\nexit 0", "yes"),
    success("work that goes on with the output closed", "answer yes\nclose-stdout\nhang", "yes"),
    failure(
        "no answer before the output is closed",
        "close-stdout\nanswer no\nhang",
        "timeout",
        "",
        "",
    ),
    success("an output that a child holds open", "leave-child\nanswer yes", "yes"),
    success(
        "an answer in another encoding",
        "answer-in-latin-1 café crème",
        "caf\u{fffd} cr\u{fffd}me",
    ),
    success("an answer, and then no end", "answer yes\nhang", "yes"),
    success("an answer, and then no end at TERM either", "ignore-term\nanswer yes\nhang", "yes"),
    failure(
        "an answer, and then a signal",
        "answer yes\nsignal KILL\nhang",
        "cli_error",
        "yes",
        "signal 9",
    ),
    failure(
        "an answer, and then an exit code",
        "answer yes\nexit 9",
        "cli_error",
        "yes",
        "exit code 9",
    ),
    success("several answers", "answer one\nanswer two\nanswer three", "three"),
    success("an object instead of a stream", OBJECT, "yes"),
    success("an array instead of a stream", ARRAY, "yes"),
    failure("nothing at all", "exit 0", "cli_error", "", "exit code 0 and gave no result"),
    failure("only words", "out I did it", "cli_error", "", "I did it"),
    failure(
        "half an event",
        r#"out {"type":"result","subtype":"suc"#,
        "cli_error",
        "",
        "no result",
    ),
    success("much on standard error, and an answer", "err-flood 4096\nanswer yes", "yes"),
    failure(
        "much on standard error",
        "err-flood 4096\nerr the end\nexit 7",
        "cli_error",
        "",
        "the end",
    ),
];

const OBJECT: &str = r#"out {
out   "type": "result", "subtype": "success", "is_error": false,
out   "result": "yes", "num_turns": 1
out }"#;

const ARRAY: &str = r#"out [{"type":"system","subtype":"init"},
out  {"type":"result","subtype":"success","is_error":false,"result":"yes","num_turns":1}]"#;

const fn success(name: &'static str, script: &'static str, result: &'static str) -> Case {
    Case { name, script, error_type: None, result, error: "" }
}

const fn failure(
    name: &'static str,
    script: &'static str,
    error_type: &'static str,
    result: &'static str,
    error: &'static str,
) -> Case {
    Case { name, script, error_type: Some(error_type), result, error }
}

#[cfg(target_os = "linux")]
#[test]
fn every_way_to_end_has_its_reply_and_leaves_nothing() {
    let world = World::new();
    let agents: Vec<String> = (0..CASES.len()).map(|number| format!("agent-{number}")).collect();
    for (agent, case) in agents.iter().zip(&CASES) {
        world.agent(agent, case.script);
    }
    let names: Vec<&str> = agents.iter().map(String::as_str).collect();
    let yaml = world.agents_yaml(&names);
    world.config(&format!("{yaml}  max_concurrency: 30\n  default_timeout: 5\n"));
    let mut client = Client::connect(&world);
    // More than a pipe holds, for those who do not read it.
    let task = "a long task ".repeat(50_000);
    for agent in names {
        client.begin(agent, "dispatch", json!({"agent": agent, "task": task}));
    }
    let replies = client.finish(CASES.len());
    for (agent, case) in agents.iter().zip(&CASES) {
        let reply = &replies[agent];
        let Case { name, error_type, result, error, .. } = *case;
        assert_eq!(reply["success"], error_type.is_none(), "{name}: {reply}");
        assert_eq!(reply["error_type"].as_str(), error_type, "{name}: {reply}");
        assert_eq!(reply["result"], result, "{name}: {reply}");
        let told = reply["error"].as_str().unwrap_or_default();
        assert!(told.contains(error) && told.len() < 4000, "{name}: {reply}");
    }
    world.wait_for_no_process();
}

#[cfg(target_os = "linux")]
#[test]
fn output_without_end_is_cut_off() {
    for script in ["out-for-ever", "out-one-line-for-ever"] {
        let world = World::with_agent(script);
        let reply = world.run(&["dispatch", "infra", "x", "--json"]).json();
        assert_eq!(reply["error_type"], "cli_error", "{script}: {reply}");
        let error = reply["error"].as_str().expect("error");
        assert!(error.contains("more than 256 MiB"), "{script}: {error}");
        assert_eq!(world.processes(), Vec::<String>::new());
    }
}
