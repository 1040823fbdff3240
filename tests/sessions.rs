//! Conversations: they go on where they began, one run at a time.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::Client;

fn resume(client: &mut Client, agent: &str, session: &Value) -> Value {
    client.tool("dispatch_session", json!({"agent": agent, "task": "go on", "session_id": session}))
}

fn has_argument(world: &World, agent: &str, argument: &str) -> bool {
    world.recorded(agent, "arguments").lines().any(|line| line == argument)
}

#[test]
fn a_conversation_goes_on_where_it_began() {
    let world = World::with_agent("record\nanswer hello");
    let mut client = Client::connect(&world);
    let first = client.tool("dispatch_session", json!({"agent": "infra", "task": "begin"}));
    let session = &first["session_id"];
    let id = session.as_str().expect("a session id");
    assert!(has_argument(&world, "infra", &format!("--session-id={id}")), "{first}");

    // The agent has moved meanwhile; its conversation has not.
    world.agent("moved", "record\nanswer elsewhere");
    world.config(&world.agents_yaml(&["infra"]).replace("/infra\n", "/moved\n"));
    fs::remove_file(world.path("infra/arguments")).expect("it ran");
    let second = resume(&mut client, "infra", session);
    assert_eq!((&second["result"], &second["session_id"]), (&json!("hello"), session), "{second}");
    assert!(has_argument(&world, "infra", &format!("--resume={id}")));
    let elsewhere = client.tool("dispatch", json!({"agent": "infra", "task": "begin"}));
    assert_eq!(elsewhere["result"], "elsewhere");
    // What dispatch answered can be gone on with as well.
    let third = resume(&mut client, "infra", &elsewhere["session_id"]);
    assert_eq!(third["result"], "elsewhere");
}

#[test]
fn a_conversation_stays_with_its_agent() {
    let world = World::with_agent("answer hello");
    world.agent("other", "record\nanswer hello");
    world.config(&world.agents_yaml(&["infra", "other"]));
    let mut client = Client::connect(&world);
    let first = client.tool("dispatch_session", json!({"agent": "infra", "task": "begin"}));
    let refused = resume(&mut client, "other", &first["session_id"]);
    let error = refused["error"].as_str().expect("an error");
    assert!(error.contains("'infra', not with 'other'"), "{error}");
    assert!(refused["hint"].as_str().expect("a hint").contains("name no session"));
    assert!(!world.path("other/prompt").exists());
}

#[test]
fn an_id_that_the_cli_would_read_as_a_flag_is_refused() {
    let world = World::with_agent("record\nanswer hello");
    let mut client = Client::connect(&world);
    let reply = resume(&mut client, "infra", &json!("--dangerous"));
    assert_eq!((&reply["success"], &reply["error_type"]), (&json!(false), &json!("cli_error")));
    assert!(reply["error"].as_str().expect("an error").contains("session id"), "{reply}");
    assert!(!world.path("infra/prompt").exists());
}

#[test]
fn two_runs_of_one_conversation_never_overlap_also_from_two_servers() {
    for servers in [1, 2] {
        let world = World::with_agent("answer hello");
        world.agent("other", "answer hello");
        world.config(&world.agents_yaml(&["infra", "other"]));
        let mut clients: Vec<Client> = (0..servers).map(|_| Client::connect(&world)).collect();
        let begin = json!({"agent": "infra", "task": "begin"});
        let session = clients[0].tool("dispatch_session", begin)["session_id"].clone();
        let go_on = |task: &str| json!({"agent": "infra", "task": task, "session_id": session});

        world.agent(
            "infra",
            "take ../turn\ntouch ../first-runs\nwait ../go\ngive-back ../turn\nanswer ok",
        );
        clients[0].begin("101", "dispatch_session", go_on("one"));
        world.wait_for("first-runs");
        let second = clients.last_mut().expect("a client");
        second.begin("102", "dispatch_session", go_on("two"));
        // Time enough for the second to begin by mistake: a whole other dispatch.
        second.tool("dispatch", json!({"agent": "other", "task": "x"}));
        fs::write(world.path("go"), "").expect("a file");
        let mut answers = 0;
        for client in &mut clients {
            while answers < 2 {
                let message = client.receive();
                if message["id"].is_string() {
                    let result = &message["result"]["structuredContent"];
                    assert_eq!(result["result"], "ok", "{servers} servers: {message}");
                    answers += 1;
                    if servers == 2 {
                        break;
                    }
                }
            }
        }
        assert_eq!(answers, 2);
        world.wait_for_no_session_lock();
    }
}

#[test]
fn a_run_that_would_wait_for_itself_is_refused() {
    let world = World::with_agent("record\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    client.begin("101", "dispatch_session", json!({"agent": "infra", "task": "begin"}));
    assert_eq!(client.receive()["params"]["message"], "'infra' works: 0 s");
    world.wait_for("infra/directory");
    let environment = world.recorded("infra", "environment");
    let run = environment.lines().find(|line| line.starts_with("AGENT_DISPATCH_RUN="));
    let (name, run) = run.and_then(|line| line.split_once('=')).expect("the mark of the run");
    let arguments = world.recorded("infra", "arguments");
    let session = arguments.lines().find_map(|line| line.strip_prefix("--session-id="));

    let output = world
        .command()
        .args(["dispatch", "infra", "x", "--json", "--session", session.expect("a session")])
        .env(name, run)
        .output()
        .expect("the binary runs");
    let reply: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(reply["error_type"], "recursion", "{reply}");
    fs::write(world.path("go"), "").expect("a file");
    assert_eq!(client.receive()["id"], "101");
}

#[test]
fn a_caller_may_give_more_time_than_the_config() {
    let world = World::with_agent("wait ../go\nanswer in time");
    world.config(&world.agents_yaml(&["infra"]).replace("settings:", "    timeout: 1\nsettings:"));
    let mut client = Client::connect(&world);
    let with_time = json!({"agent": "infra", "task": "x", "timeout_seconds": "3600"});
    client.begin("101", "dispatch_session", with_time);
    assert_eq!(client.receive()["params"]["message"], "'infra' works: 0 s");
    let reply = client.tool("dispatch", json!({"agent": "infra", "task": "x"}));
    assert_eq!(reply["error_type"], "timeout", "{reply}");
    fs::write(world.path("go"), "").expect("a file");
    let answer = client.receive();
    assert_eq!(answer["result"]["structuredContent"]["result"], "in time", "{answer}");
}

#[test]
fn a_nested_dispatch_at_a_full_limit_finishes() {
    let world = World::new();
    let binary = crate::support::BINARY;
    world.agent("outer", &format!("run {binary} dispatch inner x\nanswer ok"));
    world.agent("inner", "touch ../inner-ran\nanswer ok");
    world.config(&format!("{}  max_concurrency: 1\n", world.agents_yaml(&["outer", "inner"])));
    let mut client = Client::connect(&world);
    let reply = client.tool("dispatch", json!({"agent": "outer", "task": "x"}));
    assert_eq!(reply["result"], "ok", "{reply}");
    assert!(world.path("inner-ran").exists());
}

#[test]
fn who_waits_for_a_place_keeps_no_conversation_from_others() {
    let world = World::with_agent("answer hello");
    let binary = crate::support::BINARY;
    world.agent("outer", "");
    world.config(&format!("{}  max_concurrency: 1\n", world.agents_yaml(&["infra", "outer"])));
    let mut client = Client::connect(&world);
    let begin = json!({"agent": "infra", "task": "begin"});
    let session = client.tool("dispatch_session", begin)["session_id"].clone();
    let id = session.as_str().expect("a session");
    // It has the only place, and will want the conversation that the next call waits
    // to go on with.
    world.agent(
        "outer",
        &format!("touch ../outer-runs\nwait ../go\nrun {binary} dispatch infra x --session {id}\nanswer ok"),
    );
    client.begin("outer", "dispatch", json!({"agent": "outer", "task": "x"}));
    world.wait_for("outer-runs");
    let go_on = json!({"agent": "infra", "task": "go on", "session_id": session});
    client.begin("waits", "dispatch_session", go_on);
    // Answered after the call before it has been looked at.
    client.tool("list_agents", json!({}));
    fs::write(world.path("go"), "").expect("a file");
    let replies = client.finish(2);
    assert_eq!(replies["outer"]["result"], "ok", "{replies:?}");
    assert_eq!(replies["waits"]["result"], "hello", "{replies:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_conversation_whose_server_was_killed_is_free_when_its_run_is_gone() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    let begin = json!({"agent": "infra", "task": "begin"});
    let session = client.tool("dispatch_session", begin)["session_id"].clone();
    let go_on = json!({"agent": "infra", "task": "go on", "session_id": session});
    world.agent("infra", "ignore-term\ntake ../turn\nhang");
    client.begin("first", "dispatch_session", go_on.clone());
    world.wait_for("turn");
    world.agent("infra", "answer after");
    let mut second = Client::connect(&world);
    second.begin("second", "dispatch_session", go_on);
    drop(client);
    // It ignores being asked, so it is there for a while; nobody may run beside it.
    let works =
        |message: Value| message["params"]["message"].as_str()?.contains("works").then_some(());
    while works(second.receive()).is_none() {}
    assert!(
        !world.has_process_of("infra") || world.processes().len() <= 1,
        "{:?}",
        world.processes()
    );
    assert_eq!(second.finish(1)["second"]["result"], "after");
}

#[test]
fn a_resume_that_failed_does_not_bind_the_conversation() {
    let world = World::with_agent("answer hello");
    let fails = r#"out {"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":0,"errors":["No conversation found with session ID"]}"#;
    world.agent("wrong", &format!("{fails}\nexit 1"));
    world.config(&world.agents_yaml(&["infra", "wrong"]));
    let mut client = Client::connect(&world);
    let session = json!("11111111-2222-4333-8444-555555555555");
    assert_eq!(resume(&mut client, "wrong", &session)["success"], false);
    assert_eq!(resume(&mut client, "infra", &session)["result"], "hello");
}

#[test]
fn many_who_go_on_with_one_conversation_all_get_their_turn() {
    let world = World::with_agent("take ../turn\ngive-back ../turn\nanswer ok");
    world.config(&format!("{}  max_concurrency: 30\n", world.agents_yaml(&["infra"])));
    let mut client = Client::connect(&world);
    let session = "11111111-2222-4333-8444-555555555555";
    for number in 0..29 {
        let task = json!({"agent": "infra", "task": format!("{number}"), "session_id": session});
        client.begin(&format!("{number}"), "dispatch_session", task);
    }
    for (number, reply) in client.finish(29) {
        assert_eq!(reply["result"], "ok", "{number}: {reply}");
    }
}
