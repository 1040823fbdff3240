//! Policies that misbehave: the call is told, the paid result is kept, and the
//! server answers the next call.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::Client;

/// A world with the agent `infra`, whose policy follows its config, and the agent
/// `other` with the built-in one.
struct Trial {
    world: World,
    component: &'static str,
    client: Client,
}

impl Trial {
    fn new(component: &'static str) -> Self {
        let world = World::with_agent("record\nanswer paid for");
        world.agent("other", "answer still here");
        let source = format!("{}/tests/policies/{component}", env!("CARGO_MANIFEST_DIR"));
        fs::copy(source, world.path(component)).expect("a component");
        world.config(&world.agents_yaml(&["infra", "other"]));
        let client = Client::connect(&world);
        Self { world, component, client }
    }

    /// Dispatches under a policy with this config, and makes sure that the server
    /// still serves others. The policy has more time than a busy machine needs.
    fn dispatch(&mut self, config: &Value) -> Value {
        self.dispatch_with(config, "{timeout_ms: 60000}")
    }

    fn dispatch_with(&mut self, config: &Value, limits: &str) -> Value {
        let agents = self
            .world
            .agents_yaml(&["infra", "other"])
            .replace("  other:", "    policies: {prompt: trial}\n  other:");
        self.world.config(&format!(
            "{agents}policies:\n  trial: {{component: {}, config: {config}, limits: {limits}}}\n",
            self.component
        ));
        let _ = fs::remove_file(self.world.path("infra/prompt"));
        let reply = self.client.tool("dispatch", json!({"agent": "infra", "task": "look"}));
        let other = self.client.tool("dispatch", json!({"agent": "other", "task": "look"}));
        assert_eq!(other["result"], "still here", "after {config}");
        reply
    }

    fn ran(&self) -> bool {
        self.world.path("infra/prompt").exists()
    }
}

#[test]
fn what_goes_wrong_before_the_run_costs_nothing_and_is_named() {
    let mut trial = Trial::new("trial.wasm");
    for (behaviour, part) in [
        ("memory", "memory_mib = 128"),
        ("recurse", "more than 1 MiB of stack"),
        ("huge", "output_mib = 10"),
        ("panic", "it crashed"),
        ("trap", "it crashed"),
        ("empty", "the prompt is empty"),
        ("system:\0", "NUL"),
        ("unsupported", "it cannot serve this request"),
        ("fail", "it failed"),
    ] {
        let reply = trial.dispatch(&json!({"render": behaviour}));
        assert_eq!(reply["error_type"], "policy", "{behaviour}: {reply}");
        let error = reply["error"].as_str().expect("error");
        assert!(error.starts_with("policy 'trial' (trial 0.1.0 "), "{behaviour}: {error}");
        assert!(error.contains(part), "{behaviour}: {error}");
        assert!(!error.chars().any(char::is_control), "{behaviour}: {error:?}");
        assert!(!trial.ran(), "{behaviour}");
    }
    let reply = trial.dispatch(&json!({"check": "invalid-config"}));
    assert!(
        reply["error"].as_str().is_some_and(|error| error.contains("its config is not usable"))
    );
}

#[test]
fn what_goes_wrong_after_the_run_leaves_the_paid_result() {
    let mut trial = Trial::new("trial.wasm");
    for (behaviour, part) in [
        ("memory", "memory_mib = 128"),
        ("panic", "it crashed"),
        ("huge", "output_mib = 10"),
        ("fail", "it failed"),
        ("parsed:{", "no JSON"),
        ("outcome:splendid", "splendid"),
        ("replace: ", "leaves nothing"),
        ("keep-first:0", "leaves nothing"),
    ] {
        let reply = trial.dispatch(&json!({"interpret": behaviour}));
        assert_eq!(reply["success"], true, "{behaviour}: {reply}");
        assert_eq!(reply["result"], "paid for", "{behaviour}: {reply}");
        assert_eq!(reply["cost_usd"], 0.25, "{behaviour}: {reply}");
        let error = reply["policy_error"].as_str().expect("policy_error");
        assert!(error.contains(part), "{behaviour}: {error}");
        for key in ["outcome", "hint", "parsed_result"] {
            assert!(reply.get(key).is_none(), "{behaviour}: {reply}");
        }
    }
}

#[test]
fn what_a_policy_makes_of_a_reply_reaches_the_caller() {
    let mut trial = Trial::new("trial.wasm");
    for (behaviour, key, value) in [
        ("replace:better", "result", json!("better")),
        ("keep-first:4", "result", json!("paid")),
        ("keep-first:999999999999", "result", json!("paid for")),
        ("outcome:partial", "outcome", json!("partial")),
        ("hint:ask again\nsoon", "hint", json!("ask again soon")),
        ("parsed:{\"a\": [1]}", "parsed_result", json!({"a": [1]})),
    ] {
        let reply = trial.dispatch(&json!({"interpret": behaviour}));
        assert_eq!((&reply["success"], &reply[key]), (&json!(true), &value), "{reply}");
        assert!(reply.get("policy_error").is_none(), "{reply}");
    }
}

#[test]
fn a_policys_words_reach_the_agent() {
    let mut trial = Trial::new("trial.wasm");
    trial.dispatch(&json!({"render": "user:  /compact"}));
    assert_eq!(trial.world.recorded("infra", "prompt"), "\n  /compact");
    trial.dispatch(&json!({"render": "system:be brief"}));
    let arguments = trial.world.recorded("infra", "arguments");
    assert!(arguments.lines().any(|line| line == "--append-system-prompt=be brief"), "{arguments}");
}

#[test]
fn a_policy_that_does_not_come_back_is_ended() {
    let mut trial = Trial::new("trial.wasm");
    for behaviour in ["loop", "loop-log"] {
        let reply = trial.dispatch_with(&json!({"render": behaviour}), "{}");
        let error = reply["error"].as_str().expect("error");
        assert!(error.contains("timeout_ms = 1000;"), "{behaviour}: {error}");
        assert!(!trial.ran(), "{behaviour}");
    }
    let reply = trial.dispatch_with(&json!({"interpret": "loop"}), "{}");
    assert_eq!(
        (&reply["success"], &reply["result"]),
        (&json!(true), &json!("paid for")),
        "{reply}"
    );
    let error = reply["policy_error"].as_str().expect("policy_error");
    assert!(error.contains("timeout_ms = 1000;"), "{error}");
}

#[test]
fn limits_are_the_configs_to_set() {
    let mut trial = Trial::new("trial.wasm");
    let reply = trial.dispatch_with(&json!({"render": "loop"}), "{timeout_ms: 50}");
    assert!(
        reply["error"].as_str().is_some_and(|error| error.contains("timeout_ms = 50")),
        "{reply}"
    );
    let reply =
        trial.dispatch_with(&json!({"render": "huge"}), "{output_mib: 1, timeout_ms: 60000}");
    assert!(
        reply["error"].as_str().is_some_and(|error| error.contains("output_mib = 1;")),
        "{reply}"
    );
    let reply = trial
        .dispatch_with(&json!({"interpret": "keep-first:4"}), "{memory_mib: 8, timeout_ms: 60000}");
    assert_eq!(reply["result"], "paid");
}

#[test]
fn a_guest_with_a_standard_library_finds_an_empty_world() {
    let mut trial = Trial::new("trial-wasi.wasm");
    let reply = trial.dispatch(&json!({"render": "environment"}));
    assert_eq!(reply["success"], true, "{reply}");
    assert_eq!(
        trial.world.recorded("infra", "prompt"),
        "variables: 0\narguments: 0\nfile: NotFound\nsocket: PermissionDenied\nmilliseconds since 1970: 0"
    );

    // Its clock stands still: an hour of sleep is over at once, or never ends.
    let reply = trial.dispatch(&json!({"render": "sleep"}));
    let error = reply["error"].as_str().expect("error");
    assert!(error.contains("allowed to sleep") || error.contains("timeout_ms"), "{error}");

    let reply = trial.dispatch(&json!({"interpret": "stderr"}));
    assert_eq!(reply["result"], "paid for", "{reply}");
    let error = reply["policy_error"].as_str().expect("policy_error");
    assert!(error.contains("it crashed") && error.contains("it wrote:"), "{error}");
    assert!(error.contains("as it was told"), "the end of what it wrote is kept: {error}");
}
