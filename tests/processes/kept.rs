//! What a run may leave behind, and ending all runs at once: mostly through the
//! library, as the core uses it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use agent_dispatch::agent::{
    Claude, ErrorType, Outcome, RunEvent, RunRequest, Runner, Session, run,
};
use tokio_util::sync::CancellationToken;

use super::{HIDDEN, assert_daemon_is_seen};
use crate::support::mcp::Client;
use crate::support::{BINARY, World, fake_agent, until};

/// Only guards against hanging.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long runs may take: no test waits for it.
const LONG: Duration = Duration::from_hours(1);

fn request(world: &World, agent: &str) -> RunRequest {
    RunRequest {
        spool: None,
        run: uuid::Uuid::new_v4().simple().to_string(),
        directory: world.path(agent),
        prompt: "x".to_owned(),
        system: None,
        session: Session::New(uuid::Uuid::new_v4().to_string()),
        model: None,
        permission_mode: None,
        allowed_tools: Vec::new(),
        disallowed_tools: Vec::new(),
        strict_mcp: false,
        setting_sources: None,
        background_tasks: false,
        max_budget_usd: None,
        timeout: LONG,
        command: vec![fake_agent().display().to_string()],
        environment: vec![("HOME".to_owned(), world.path("home").display().to_string())],
        ids: Vec::new(),
        keep_background: true,
    }
}

fn runner() -> Runner {
    Runner::new(Path::new(BINARY), &["runner"])
}

/// Runs it to its end.
async fn end(runner: &Runner, request: &RunRequest) -> Outcome {
    let (cancel, observe) = (CancellationToken::new(), &mut |_: RunEvent| {});
    let ended = run(&Claude, runner, request, Vec::new(), &cancel, observe);
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The daemon ends when its file goes.
fn let_go(world: &World, agent: &str) {
    fs::remove_file(world.path(agent).join("daemon")).expect("the daemon's file");
    world.wait_for_no_process();
}

#[test]
fn the_config_lets_an_agent_keep_what_it_leaves_behind() {
    let world = World::with_agent(&format!("{HIDDEN}\nanswer kept"));
    let keep = "    keep_background: true\nsettings:";
    world.config(&world.agents_yaml(&["infra"]).replace("settings:", keep));
    let mut client = Client::connect(&world);
    let reply = client.tool("dispatch", serde_json::json!({"agent": "infra", "task": "x"}));
    assert_eq!(reply["result"], "kept");
    let runner = super::Process::new(super::runner_of(client.pid()));
    assert!(client.close().success());
    runner.wait_for_end();
    assert_daemon_is_seen(&world, "infra");
    let_go(&world, "infra");
}

#[test]
fn what_may_stay_after_a_normal_end_outlives_other_runs_and_the_server() {
    runtime().block_on(async {
        let world = World::new();
        world.agent("keeps", &format!("{HIDDEN}\nanswer kept"));
        world.agent("other", &format!("{HIDDEN}\nanswer done"));
        let runner = runner();
        let kept = end(&runner, &request(&world, "keeps")).await;
        assert_eq!((kept.success(), kept.text.as_str()), (true, "kept"), "{kept:?}");
        assert_daemon_is_seen(&world, "keeps");

        let other = RunRequest { keep_background: false, ..request(&world, "other") };
        assert_eq!(end(&runner, &other).await.text, "done");
        world.wait_for_no_process_of("other");
        assert_daemon_is_seen(&world, "keeps");

        // Without its server the runner ends, after all that it has to end.
        let process = super::Process::new(super::runner_of(std::process::id()));
        drop(runner);
        tokio::task::yield_now().await;
        process.wait_for_end();
        assert_daemon_is_seen(&world, "keeps");
        let_go(&world, "keeps");
    });
}

#[test]
fn what_may_stay_does_not_after_a_timeout_or_a_signal() {
    runtime().block_on(async {
        let runner = runner();
        for (last, error) in [("hang", ErrorType::Timeout), ("signal KILL", ErrorType::CliError)] {
            let world = World::new();
            world.agent("keeps", &format!("{HIDDEN}\n{last}\nhang"));
            let request =
                RunRequest { timeout: Duration::from_secs(3), ..request(&world, "keeps") };
            let outcome = end(&runner, &request).await;
            assert_eq!(outcome.failure.map(|failure| failure.error_type), Some(error));
            assert!(world.path("keeps/daemon").exists(), "the daemon was there");
            world.wait_for_no_process();
        }
    });
}

#[test]
fn a_hurried_end_ends_all_runs_and_starts_no_runner() {
    runtime().block_on(async {
        let world = World::new();
        let none = Runner::new(&world.path("no-such-program"), &[]);
        none.end_all(Duration::ZERO);

        for agent in ["one", "other"] {
            world.agent(agent, &format!("ignore-term\n{HIDDEN}\nhang"));
        }
        let runner = runner();
        let (one, other) = (request(&world, "one"), request(&world, "other"));
        let hurry = async {
            for agent in ["one", "other"] {
                let daemon = world.path(agent).join("daemon");
                while !daemon.exists() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            // The longer grace of before does not count any more.
            runner.end_all(LONG);
            runner.end_all(Duration::from_millis(250));
        };
        let (one, other, ()) = tokio::join!(end(&runner, &one), end(&runner, &other), hurry);
        for outcome in [one, other] {
            let failure = outcome.failure.expect("a failure");
            assert!(failure.message.contains("signal 9"), "{failure:?}");
        }
        until(|| world.processes().is_empty(), || format!("{:?}", world.processes()));
    });
}
