//! Aggregate policies that mean harm or want too much: before the start they cost nothing,
//! and after it nothing is lost of what was paid for.

use std::fs;

use serde_json::{Value, json};

use super::decisions::{Ask, Decision, Piece, first_then};
use super::guest::Guest;
use super::{LOOP, bad_bodies};
use crate::support::World;
use crate::support::mcp::Client;

/// Is any item running?
const RUNNING: &str = "(call $running (local.get $given))";
const RUNNING_FUNCTION: &str = "
    (func $running (param $given i32) (result i32) (local $item i32) (local $left i32)
        (local.set $item (i32.load offset=8 (local.get $given)))
        (local.set $left (i32.load offset=12 (local.get $given)))
        (block $none (loop $next
            (br_if $none (i32.eqz (local.get $left)))
            (if (i32.eqz (i32.load8_u offset=64 (local.get $item))) (then (return (i32.const 1))))
            (local.set $item (i32.add (local.get $item) (i32.const 208)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br $next)))
        (i32.const 0))";

/// Are there so many items, those of the caller and those of the policy?
fn items(count: u32) -> String {
    format!("(i32.eq (i32.load offset=12 (local.get $given)) (i32.const {count}))")
}

/// A step that waits as long as anything runs, and then does this.
fn when_settled(body: &str, more: &str) -> Guest {
    let first = format!("(if {RUNNING} (then (return (i32.const 512)))) {body}");
    Guest { first, more: format!("{RUNNING_FUNCTION} {more}"), ..Guest::steps("aggregate-policy") }
}

/// The same with a decision.
fn when_settled_decides(decision: &Decision) -> Guest {
    let (data, body) = decision.place(0);
    when_settled(&body, &data)
}

/// A step that does this at once.
fn at_once(body: &str, more: &str) -> Guest {
    let (first, more) = (body.to_owned(), more.to_owned());
    Guest { first, more, ..Guest::steps("aggregate-policy") }
}

fn at_once_decides(decision: &Decision) -> Guest {
    let (data, body) = decision.place(0);
    at_once(&body, &data)
}

/// A result that gives up and gives as reason such a text.
fn reason_at(pointer: u32, size: u32) -> String {
    format!(
        "(i32.store8 (i32.const 4100) (i32.const 3)) (i32.store (i32.const 4104) (i32.const {pointer})) (i32.store (i32.const 4108) (i32.const {size})) (i32.const 4096)"
    )
}

/// A world with the agents `one`, `two`, `chief` and `outsider`, which count their runs,
/// and the policy `evil`, whose component is `policy.wasm`.
struct Attack {
    world: World,
    client: Client,
}

impl Attack {
    fn new() -> Self {
        Self::with("", "")
    }

    /// `settings` ends the settings, `entry` the policy's entry.
    fn with(settings: &str, entry: &str) -> Self {
        Self::with_limits(settings, entry, "timeout_ms: 60000")
    }

    fn with_limits(settings: &str, entry: &str, limits: &str) -> Self {
        let world = World::new();
        let agents = ["one", "two", "chief", "outsider"];
        for agent in agents {
            world.agent(agent, &format!("count ../runs\nrecord\nanswer paid for by {agent}"));
        }
        let yaml = world.agents_yaml(&agents);
        world.config(&format!(
            "{yaml}{settings}policies:\n  evil: {{component: ./policy.wasm, limits: {{{limits}}}{entry}}}\n"
        ));
        let client = Client::connect(&world);
        Self { world, client }
    }

    /// Two dispatches under this policy.
    fn dispatch(&mut self, guest: &Guest) -> Value {
        let path = self.world.path("policy.wasm");
        fs::write(self.world.path("next.wasm"), guest.build()).expect("a component");
        fs::rename(self.world.path("next.wasm"), path).expect("in its place");
        let _ = fs::remove_file(self.world.path("runs"));
        let item = |agent| json!({"agent": agent, "task": "look", "fresh": true});
        let dispatches = [item("one"), item("two")];
        let call =
            json!({"dispatches": dispatches, "aggregate": "chief", "aggregate_policy": "evil"});
        let reply = self.client.tool("dispatch_parallel", call);
        assert!(self.client.tool("list_agents", json!({})).is_array(), "after {reply}");
        reply
    }

    /// Nothing is run, and the error names this.
    #[track_caller]
    fn refused(&mut self, name: &str, guest: &Guest, part: &str) {
        let reply = self.dispatch(guest);
        let error = reply["error"].as_str().unwrap_or_else(|| panic!("{name}: {reply}"));
        assert!(error.contains("policy 'evil'") && error.contains(part), "{name}: {error}");
        assert!(!error.chars().any(char::is_control), "{name}: {error:?}");
        assert!(error.len() < 16_000, "{name}: {} bytes", error.len());
        assert!(reply["hint"].as_str().is_some_and(|hint| hint.contains("Nothing was run")));
        assert_eq!(self.world.runs(), 0, "{name}");
    }

    /// All that was run is there, and so many steps.
    #[track_caller]
    fn paid_for(&mut self, name: &str, guest: &Guest, steps: usize) -> Value {
        let reply = self.dispatch(guest);
        for (place, agent) in ["one", "two"].into_iter().enumerate() {
            let item = &reply["individual_results"][place];
            assert_eq!(item["result"], format!("paid for by {agent}"), "{name}: {reply}");
        }
        let aggregated = reply["aggregated"].clone();
        assert_eq!(aggregated["steps"].as_array().map(Vec::len), Some(steps), "{name}: {reply}");
        assert_eq!(self.world.runs(), 2 + steps, "{name}");
        aggregated
    }

    /// The same, and the error that ends it names this.
    #[track_caller]
    fn ends_with(&mut self, name: &str, guest: &Guest, steps: usize, part: &str) {
        let aggregated = self.paid_for(name, guest, steps);
        assert_eq!(
            (&aggregated["success"], &aggregated["error_type"]),
            (&json!(false), &json!("policy")),
            "{name}: {aggregated}"
        );
        let error = aggregated["error"].as_str().expect("an error");
        assert!(error.contains(part), "{name}: {error}");
        assert!(!error.chars().any(char::is_control), "{name}: {error:?}");
        assert!(error.len() < 16_000, "{name}: {} bytes", error.len());
    }
}

#[test]
fn what_goes_wrong_before_the_start_costs_nothing() {
    let mut attack = Attack::new();
    for (name, body, more, part) in bad_bodies(reason_at) {
        attack.refused(name, &at_once(&body, more), part);
    }
    let reason = at_once_decides(&Decision::give_up("not today\u{7}\nnor tomorrow"));
    attack.refused("gives up", &reason, "cannot do this: not today");
    let long = at_once(&reason_at(0, 65536), "");
    attack.refused("a long reason", &long, "cannot do this: ");
    let check = "(unreachable)".to_owned();
    attack.refused("check", &Guest { check, ..Guest::steps("aggregate-policy") }, "it crashed");
    attack.refused("another kind", &Guest::prompt(), "is no aggregate policy, but one for: prompt");
}

/// What a policy must not decide while the two dispatches are what they are: running, or
/// done by now.
fn invalid(running: bool) -> Vec<(&'static str, Decision, &'static str)> {
    let ask = Ask::new("one");
    let gone = [Piece::Reply(9)];
    let mut cases = vec![
        ("asks nobody", Decision::ask(&[]), "it asks nobody"),
        (
            "unknown agent",
            Decision::ask(&[Ask::new("nobody")]),
            "it asks 'nobody', and may ask only: one, two, chief; `may_ask`",
        ),
        ("forbidden agent", Decision::ask(&[ask, Ask::new("outsider")]), "it asks 'outsider'"),
        ("no agent", Decision::ask(&[Ask::new("")]), "it asks ''"),
        ("no task", Decision::ask(&[Ask { task: " \n", ..ask }]), "it asks 'one' nothing"),
        ("format", Decision::ask(&[Ask { format: "yaml", ..ask }]), "'yaml', not text or json"),
        ("unknown item", Decision::answer_item(9), "there is no item 9"),
        ("part of an unknown item", Decision::answer_text(&gone), "there is no item 9"),
        (
            "context of an unknown item",
            Decision::ask(&[Ask { context: &gone, ..ask }]),
            "there is no item 9",
        ),
        (
            "continues an unknown item",
            Decision::ask(&[Ask { continues: Some(9), ..ask }]),
            "there is no item 9",
        ),
    ];
    let continues = |agent, item| Ask { continues: Some(item), ..Ask::new(agent) };
    if running {
        let runs = [Piece::Text("so far: "), Piece::Reply(1)];
        cases.extend([
            ("running item", Decision::answer_item(0), "item 0 still runs"),
            ("part of a running item", Decision::answer_text(&runs), "item 1 still runs"),
            (
                "context of a running item",
                Decision::ask(&[Ask { context: &runs, ..ask }]),
                "item 1 still runs",
            ),
            (
                "continues a running item",
                Decision::ask(&[continues("one", 0)]),
                "item 0 still runs",
            ),
        ]);
    } else {
        let twice = [continues("one", 0), continues("one", 0)];
        cases.extend([
            (
                "another's conversation",
                Decision::ask(&[continues("two", 0)]),
                "another agent's conversation",
            ),
            ("one conversation twice", Decision::ask(&twice), "one conversation twice at once"),
        ]);
    }
    cases
}

#[test]
fn an_invalid_decision_starts_nothing() {
    let mut attack = Attack::new();
    for (name, decision, part) in invalid(true) {
        attack.refused(name, &at_once_decides(&decision), part);
    }
    for (name, decision, part) in invalid(false) {
        attack.ends_with(name, &when_settled_decides(&decision), 0, part);
    }
    let waits = Guest::steps("aggregate-policy");
    attack.ends_with("waits for ever", &waits, 0, "it waits, and nothing runs");
}

#[test]
fn what_goes_wrong_after_the_runs_loses_nothing() {
    let mut attack = Attack::new();
    for (name, body, more, part) in bad_bodies(reason_at) {
        attack.ends_with(name, &when_settled(&body, more), 0, part);
    }
    let reason = when_settled_decides(&Decision::give_up("no\u{1b}[2J\nuse"));
    attack.ends_with("gives up", &reason, 0, "the policy gave up: no");
    attack.ends_with("a long reason", &when_settled(&reason_at(0, 65536), ""), 0, "gave up");
    // When what it asked is there.
    let (data, ask) = Decision::ask(&[Ask::new("chief"), Ask::new("one")]).place(0);
    let body = format!("(if (result i32) {} (then {ask}) (else (unreachable)))", items(2));
    attack.ends_with("after its asks", &when_settled(&body, &data), 2, "it crashed");
}

#[test]
fn a_step_that_does_not_come_back_is_ended() {
    let mut attack = Attack::with_limits("", "", "timeout_ms: 1000");
    attack.refused("at once", &at_once(LOOP, ""), "timeout_ms = 1000");
    attack.ends_with("after the runs", &when_settled(LOOP, ""), 0, "timeout_ms = 1000");
}

#[test]
fn a_policy_asks_those_of_the_call_and_those_of_its_entry() {
    let guest = |agent| {
        let ask = Decision::ask(&[Ask { context: &[Piece::Reply(0)], ..Ask::new(agent) }]);
        let (body, data) = first_then(&items(2), &ask, &Decision::answer_item(2));
        when_settled(&body, &data)
    };
    let mut attack = Attack::new();
    for agent in ["one", "two", "chief"] {
        let aggregated = attack.paid_for(agent, &guest(agent), 1);
        assert_eq!(aggregated["result"], format!("paid for by {agent}"), "{aggregated}");
        assert!(attack.world.recorded(agent, "prompt").contains("Context\npaid for by one\n"));
    }
    attack.ends_with("outsider", &guest("outsider"), 0, "it asks 'outsider'");
    let mut attack = Attack::with("", ", may_ask: [outsider, gone]");
    let aggregated = attack.paid_for("outsider", &guest("outsider"), 1);
    assert_eq!(aggregated["agent"], "outsider", "{aggregated}");
    attack.ends_with("gone", &guest("gone"), 0, "it asks 'gone'");
}

#[test]
fn a_policy_may_ask_at_once_and_answer_in_its_own_words() {
    let mut attack = Attack::new();
    let pieces = [Piece::Text("<"), Piece::Reply(2), Piece::Text("|"), Piece::Reply(0)];
    let ask = Decision::ask(&[Ask::new("chief")]);
    let (first, data) = first_then(&items(2), &ask, &Decision::answer_text(&pieces));
    let wait =
        format!("(if {} (then) (else (if {RUNNING} (then (return (i32.const 512))))))", items(2));
    let guest = at_once(&format!("{wait} {first}"), &format!("{RUNNING_FUNCTION} {data}"));
    let aggregated = attack.paid_for("at once", &guest, 1);
    assert_eq!(aggregated["result"], "<paid for by chief|paid for by one", "{aggregated}");
    assert_eq!((&aggregated["agent"], &aggregated["steps"][0]["round"]), (&Value::Null, &json!(1)));
    // One that has its answer already: nobody is run for it.
    let answer = Decision::answer_text(&[Piece::Text("I knew it")]);
    let reply = attack.dispatch(&at_once_decides(&answer));
    assert_eq!(reply["aggregated"]["result"], "I knew it", "{reply}");
    assert_eq!(reply["individual_results"][1]["error_type"], "cancelled", "{reply}");
    assert_eq!(attack.world.runs(), 0);
}

#[test]
fn a_policy_that_never_has_enough_is_stopped() {
    let greedy = |agents: &[&str]| {
        let asks: Vec<Ask> = agents.iter().map(|agent| Ask::new(agent)).collect();
        when_settled_decides(&Decision::ask(&asks))
    };
    let all = ["chief", "one"];
    // Each run costs a quarter.
    for (settings, agents, steps, stopped, result) in [
        ("{}", &all[..1], 3, "rounds", "paid for by chief"),
        ("{max_rounds: 2}", &all[..], 4, "rounds", "paid for by one"),
        ("{max_asks: 3}", &all[..], 2, "asks", "paid for by one"),
        ("{max_rounds: 100, max_asks: 7}", &all[..1], 7, "asks", "paid for by chief"),
        ("{max_asks: 1}", &all[..], 0, "asks", ""),
        ("{budget_usd: 0.3}", &all[..1], 2, "budget", "paid for by chief"),
        ("{budget_usd: 0.5}", &all[..], 2, "budget", "paid for by one"),
    ] {
        let mut attack = Attack::with(&format!("  aggregate: {settings}\n"), "");
        let aggregated = attack.paid_for(settings, &greedy(agents), steps);
        assert_eq!(aggregated["stopped"], stopped, "{settings}: {aggregated}");
        assert_eq!(aggregated["result"], result, "{settings}: {aggregated}");
        assert_eq!(aggregated["success"], steps > 0, "{settings}: {aggregated}");
        assert!(
            aggregated["hint"].as_str().is_some_and(|hint| hint.contains("settings.aggregate."))
        );
        for (id, step) in (2..).zip(aggregated["steps"].as_array().expect("steps")) {
            assert_eq!((&step["id"], &step["success"]), (&json!(id), &json!(true)), "{step}");
        }
    }
    // What is left of the budget is shared by those that are asked at once.
    let mut attack = Attack::with("  aggregate: {budget_usd: 0.9}\n", "");
    attack.paid_for("caps", &greedy(&all), 4);
    let arguments = attack.world.recorded("chief", "arguments");
    assert!(arguments.lines().any(|line| line == "--max-budget-usd=0.2"), "{arguments}");
}

#[test]
fn what_told_no_cost_may_have_cost_its_share_of_the_budget() {
    let greedy = when_settled_decides(&Decision::ask(&[Ask::new("chief")]));
    // One that dies before its result, and one whose program tells no cost.
    let silent = r#"out {"type":"result","subtype":"success","is_error":false,"result":"fine"}"#;
    for script in ["exit 3", silent] {
        let mut attack = Attack::with("  aggregate: {budget_usd: 0.3}\n", "");
        attack.world.agent("chief", &format!("count ../runs\n{script}"));
        let aggregated = attack.paid_for(script, &greedy, 1);
        assert_eq!(aggregated["stopped"], "budget", "{script}: {aggregated}");
    }
    // One that never ran has cost nothing.
    let mut attack = Attack::with("  aggregate: {budget_usd: 0.3}\n", "");
    fs::remove_dir_all(attack.world.path("chief")).expect("its directory");
    let aggregated = attack.dispatch(&greedy)["aggregated"].clone();
    assert_eq!(aggregated["stopped"], "rounds", "{aggregated}");
}

#[test]
fn a_conversation_that_was_continued_is_still_one() {
    let mut attack = Attack::new();
    let continues = |item| Ask { continues: Some(item), ..Ask::new("one") };
    let (first, both) = ([continues(0)], [continues(0), continues(2)]);
    let (body, data) = first_then(&items(2), &Decision::ask(&first), &Decision::ask(&both));
    let guest = when_settled(&body, &data);
    attack.ends_with("both ends of it", &guest, 1, "one conversation twice at once");
}

#[test]
fn so_many_asks_as_nobody_may_hold_nothing_up() {
    // The same 48 bytes again and again.
    let (data, _) = Decision::ask(&[Ask::new("one")]).place(0);
    let body = "(local.set $i (i32.const 0))
        (drop (memory.grow (i32.const 300)))
        (loop $l
            (memory.copy (i32.add (i32.const 200000) (i32.mul (local.get $i) (i32.const 48)))
                (i32.load (i32.const 16392)) (i32.const 48))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 300000))))
        (i32.store (i32.const 16392) (i32.const 200000))
        (i32.store (i32.const 16396) (i32.const 300000))
        (i32.const 16384)";
    let mut attack = Attack::with_limits("", "", "timeout_ms: 60000, output_mib: 100");
    let aggregated = attack.paid_for("many", &when_settled(body, &data), 0);
    assert_eq!(aggregated["stopped"], "asks", "{aggregated}");
}

#[test]
fn the_built_in_policy_takes_over_at_any_time_where_the_entry_says_so() {
    let fallback = ", on_error: fallback";
    let (data, ask) = Decision::ask(&[Ask::new("one")]).place(0);
    let asks_and_crashes =
        format!("(if (result i32) {} (then {ask}) (else (unreachable)))", items(2));
    for (name, guest, steps) in [
        ("at once", at_once("(unreachable)", ""), 1),
        ("after the runs", when_settled("(unreachable)", ""), 1),
        ("after an invalid decision", when_settled_decides(&Decision::answer_item(9)), 1),
        ("after its own asks", when_settled(&asks_and_crashes, &data), 2),
    ] {
        let mut attack = Attack::with("", fallback);
        let aggregated = attack.paid_for(name, &guest, steps);
        assert_eq!(aggregated["result"], "paid for by chief", "{name}: {aggregated}");
        assert_eq!(aggregated["policy"], "synthesize", "{name}: {aggregated}");
        let why = aggregated["policy_fallback"].as_str().expect("why");
        assert!(why.contains("'evil'") && why.contains("'synthesize' took over"), "{name}: {why}");
    }
}

#[test]
fn what_an_agent_says_of_its_work_is_passed_on() {
    // The prompt policy of `one` calls its reply partial.
    let interpret = "(i32.store8 (i32.const 4120) (i32.const 1)) (i32.store (i32.const 4124) (i32.const 8192)) (i32.store (i32.const 4128) (i32.const 7)) (i32.const 4096)";
    let more = r#"(data (i32.const 8192) "partial")"#.to_owned();
    let guest = Guest { interpret: interpret.to_owned(), more, ..Guest::prompt() };
    let world = World::new();
    for agent in ["one", "two", "chief"] {
        world.agent(agent, &format!("record\nanswer from {agent}"));
    }
    fs::write(world.path("policy.wasm"), guest.build()).expect("a component");
    let yaml = world
        .agents_yaml(&["one", "two", "chief"])
        .replace("  two:", "    policies: {prompt: partly}\n  two:");
    world.config(&format!("{yaml}policies:\n  partly: {{component: ./policy.wasm}}\n"));
    let item = |agent| json!({"agent": agent, "task": "look"});
    let call = json!({"dispatches": [item("one"), item("two")], "aggregate": "chief"});
    let reply = Client::connect(&world).tool("dispatch_parallel", call);
    assert_eq!(reply["individual_results"][0]["outcome"], "partial", "{reply}");
    let prompt = world.recorded("chief", "prompt");
    let blocks = "## Agent: one [OK, agent reports PARTIAL]\nfrom one\n\n## Agent: two [OK]\n";
    assert!(prompt.contains(blocks), "{prompt}");
}
