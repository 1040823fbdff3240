//! Tasks: what a client that declares them gets of a dispatch that takes long, and that all
//! others get what they always got.

use std::process::Stdio;

use rmcp::ServiceExt;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities, ClientConfig,
    GetTaskParams, Implementation, TaskPayload, TaskStatus,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::mcp::{Client, Streams};
use crate::support::{World, until};

/// Config of one agent, `infra`, with this setting.
fn world(script: &str, task_after: &str) -> World {
    let world = World::with_agent(script);
    world.config(&format!("{}  task_after_seconds: {task_after}\n", world.agents_yaml(&["infra"])));
    world
}

/// A client that declares tasks.
fn client_with_tasks(world: &World) -> Client {
    let mut client = Client::start(world, Streams::Sockets);
    let extensions = json!({"io.modelcontextprotocol/tasks": {}});
    client.request(
        "initialize",
        json!({"protocolVersion": "2025-11-25", "capabilities": {"extensions": extensions},
               "clientInfo": {"name": "test", "version": "0"}}),
    );
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
    client
}

fn question() -> Value {
    json!({"agent": "infra", "task": "look"})
}

/// The reply in a result, of a tool or a task.
#[track_caller]
fn reply(result: &Value) -> Value {
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
    serde_json::from_str(text).expect("JSON")
}

#[track_caller]
fn task(client: &mut Client) -> Value {
    let task = client.call("dispatch", question());
    assert_eq!(task["resultType"], "task", "{task}");
    task
}

fn get(client: &mut Client, task: &Value) -> Value {
    client.request("tasks/get", json!({"taskId": task["taskId"]}))
}

#[track_caller]
fn wait_for_status(client: &mut Client, task: &Value, status: &str) -> Value {
    let mut got = Value::Null;
    until(
        || {
            got = get(client, task);
            got["status"] == status
        },
        || format!("not {status}"),
    );
    got
}

#[test]
fn what_is_over_in_time_comes_back_as_ever() {
    for task_after in ["20", "off"] {
        let world = world("count ../runs\nanswer fine", task_after);
        let mut client = client_with_tasks(&world);
        let answer = client.tool("dispatch", question());
        assert_eq!(answer["result"], "fine", "{answer}");
        // Also what was answered before.
        let again = client.tool("dispatch", question());
        assert_eq!(again["cached"], true, "{again}");
        let fresh =
            client.tool("dispatch", json!({"agent": "infra", "task": "look", "fresh": true}));
        assert_eq!(fresh.get("cached"), None, "{fresh}");
        assert_eq!(world.runs(), 2);
        let unknown = client.tool("dispatch", json!({"agent": "nobody", "task": "look"}));
        assert!(
            unknown["error"].as_str().is_some_and(|error| error.contains("nobody")),
            "{unknown}"
        );
    }
}

#[test]
fn a_client_without_tasks_waits_to_the_end() {
    let world = world("touch ../there\nwait ../go\nanswer fine", "0");
    let mut client = Client::connect(&world);
    client.begin("1", "dispatch", question());
    world.wait_for("there");
    std::fs::write(world.path("go"), "").expect("a file");
    assert_eq!(client.finish(1)["1"]["result"], "fine");
    assert_eq!(client.tool("dispatch_jobs", json!({})), json!([]));
    let refused = client.response("tasks/get", json!({"taskId": "infra-x"}));
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
}

#[test]
fn a_long_one_is_a_task_whose_result_survives_the_server() {
    let world = world("says 2 step\ntouch ../there\nwait ../go\nanswer fine", "0");
    let mut client = client_with_tasks(&world);
    let task = task(&mut client);
    let id = task["taskId"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("infra-") && id.len() == "infra-".len() + 32, "{id}");
    assert_eq!(task["status"], "working", "{task}");
    for time in ["createdAt", "lastUpdatedAt"] {
        let time = task[time].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    world.wait_for("there");
    until(
        || {
            get(&mut client, &task)["statusMessage"]
                .as_str()
                .is_some_and(|said| said.contains("2 step"))
        },
        || "no progress".to_owned(),
    );
    client.signal(Signal::KILL);
    client.wait();

    let mut other = client_with_tasks(&world);
    assert_eq!(get(&mut other, &task)["status"], "working");
    std::fs::write(world.path("go"), "").expect("a file");
    let waited = other.tool("dispatch_wait", json!({"job_id": id}));
    assert_eq!(waited["status"], "done", "{waited}");
    let done = get(&mut other, &task);
    assert_eq!([&done["status"], &done["resultType"]], ["completed", "complete"], "{done}");
    assert_eq!(reply(&done["result"])["result"], "fine", "{done}");
    assert_eq!(
        other.request("tasks/update", json!({"taskId": id, "inputResponses": {}}))["resultType"],
        "complete"
    );
}

#[test]
fn a_task_that_fails_is_completed_with_the_failure() {
    let world = world("touch ../there\nwait ../go\nexit 3", "0");
    let mut client = client_with_tasks(&world);
    let task = task(&mut client);
    std::fs::write(world.path("go"), "").expect("a file");
    let done = wait_for_status(&mut client, &task, "completed");
    let reply = reply(&done["result"]);
    assert_eq!(
        [&reply["success"], &reply["error_type"]],
        [&json!(false), &json!("cli_error")],
        "{done}"
    );
}

#[test]
fn a_task_is_cancelled_by_whoever_knows_it() {
    let world = world("touch ../there\nhang", "0");
    let mut client = client_with_tasks(&world);
    let task = task(&mut client);
    world.wait_for("there");
    let mut other = client_with_tasks(&world);
    other.request("tasks/cancel", json!({"taskId": task["taskId"]}));
    assert_eq!(get(&mut client, &task)["status"], "cancelled");
    world.wait_for_no_process_of("infra");
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let unknown = json!({"taskId": format!("infra-{}", "0".repeat(32)), "inputResponses": {}});
        let refused = client.response(method, unknown);
        assert_eq!(refused["error"]["code"], -32602, "{method}: {refused}");
    }
}

#[test]
fn who_gives_up_before_there_is_a_task_ends_it() {
    let world = world("touch ../there\nhang", "600");
    let mut client = client_with_tasks(&world);
    client.begin("1", "dispatch", question());
    world.wait_for("there");
    client.cancel("1");
    world.wait_for_no_process_of("infra");
    // So does one who leaves.
    std::fs::remove_file(world.path("there")).expect("the file");
    client.begin("2", "dispatch", question());
    world.wait_for("there");
    client.close();
    world.wait_for_no_process_of("infra");
    let jobs = world.run(&["jobs", "--json"]).json();
    let statuses: Vec<&Value> =
        jobs.as_array().expect("a list").iter().map(|job| &job["status"]).collect();
    assert_eq!(statuses, ["cancelled", "cancelled"], "{jobs}");
}

#[test]
fn without_a_store_it_is_a_dispatch_like_any_other() {
    let world = world("answer fine", "0");
    let store = world.path("home/.local/state/agent-dispatch/store.sqlite");
    std::fs::create_dir_all(store).expect("a folder in its place");
    let mut client = client_with_tasks(&world);
    let answer = client.tool("dispatch", question());
    assert_eq!(answer["result"], "fine", "{answer}");
    assert!(answer.get("store_error").is_some(), "{answer}");
}

#[tokio::test]
async fn rmcps_own_client_gets_a_task_and_its_result() {
    let world = world("wait ../go\nanswer fine", "0");
    let mut command = tokio::process::Command::from(world.command());
    command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().expect("the server starts");
    let streams = (server.stdout.take().expect("output"), server.stdin.take().expect("input"));
    let capabilities = ClientCapabilities::builder().enable_tasks().build();
    let info = ClientConfig::new(capabilities, Implementation::new("test", "0"));
    let client = info.serve(streams).await.expect("a session");

    let arguments = question().as_object().cloned();
    let begin = || {
        let mut call = CallToolRequestParams::new("dispatch");
        call.arguments = arguments.clone();
        client.call_tool_once(call)
    };
    let CallToolResponse::Task(created) = begin().await.expect("an answer") else {
        panic!("not a task")
    };
    let get = || client.get_task(GetTaskParams::new(created.task.task_id.clone()));
    assert_eq!(get().await.expect("a task").task.status(), TaskStatus::Working);
    std::fs::write(world.path("go"), "").expect("a file");
    let result = loop {
        match get().await.expect("a task").task.payload {
            TaskPayload::Completed { result } => break Value::Object(result),
            payload => assert_eq!(payload, TaskPayload::Working),
        }
    };
    assert_eq!(reply(&result)["result"], "fine", "{result}");

    std::fs::remove_file(world.path("go")).expect("the file");
    let mut fresh = CallToolRequestParams::new("dispatch");
    fresh.arguments = json!({"agent": "infra", "task": "look", "fresh": true}).as_object().cloned();
    let CallToolResponse::Task(created) = client.call_tool_once(fresh).await.expect("an answer")
    else {
        panic!("not a task")
    };
    let id = created.task.task_id;
    client.cancel_task(CancelTaskParams::new(id.clone())).await.expect("acknowledged");
    let task = client.get_task(GetTaskParams::new(id)).await.expect("a task").task;
    assert_eq!(task.status(), TaskStatus::Cancelled);
    client.cancel().await.expect("it ends");
}
