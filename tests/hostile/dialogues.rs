//! Dialogue policies that mean harm: before the first turn they cost nothing, and after it
//! all turns are there.

use std::fs;

use serde_json::{Value, json};

use super::bad_bodies;
use super::decisions::{Decision, Piece, first_then};
use super::guest::Guest;
use crate::support::World;
use crate::support::mcp::Client;

/// Have so many turns been had?
fn turns(count: u32) -> String {
    format!("(i32.eq (i32.load offset=132 (local.get $given)) (i32.const {count}))")
}

fn at_once(body: &str, more: &str) -> Guest {
    let (first, more) = (body.to_owned(), more.to_owned());
    Guest { first, more, ..Guest::steps("dialogue-policy") }
}

fn at_once_decides(decision: &Decision) -> Guest {
    let (data, body) = decision.place(0);
    at_once(&body, &data)
}

/// Has the responder speak first, and then does this.
fn after_a_turn(body: &str, more: &str) -> Guest {
    let (data, speak) = Decision::speak(&[Piece::Text("Hello")]).place(0);
    let first = format!("(if {} (then (return {speak}))) {body}", turns(0));
    at_once(&first, &format!("{data} {more}"))
}

fn after_a_turn_decides(decision: &Decision) -> Guest {
    let (data, body) = decision.place(1);
    after_a_turn(&body, &data)
}

/// A result that stops and gives as reason such a text.
fn reason_at(pointer: u32, size: u32) -> String {
    format!(
        "(i32.store8 (i32.const 4100) (i32.const 2)) (i32.store (i32.const 4104) (i32.const {pointer})) (i32.store (i32.const 4108) (i32.const {size})) (i32.const 4096)"
    )
}

/// A world with the agents `web` and `infra`, which count their runs, and the policy `evil`,
/// whose component is `policy.wasm`.
struct Attack {
    world: World,
    client: Client,
}

impl Attack {
    fn new(entry: &str) -> Self {
        let world = World::new();
        for agent in ["web", "infra"] {
            world.agent(agent, &format!("count ../runs\nrecord\nanswer paid for by {agent}"));
        }
        let yaml = world.agents_yaml(&["web", "infra"]);
        world.config(&format!(
            "{yaml}policies:\n  evil: {{component: ./policy.wasm, limits: {{timeout_ms: 60000}}{entry}}}\n"
        ));
        let client = Client::connect(&world);
        Self { world, client }
    }

    fn talk(&mut self, guest: &Guest) -> Value {
        let path = self.world.path("policy.wasm");
        fs::write(self.world.path("next.wasm"), guest.build()).expect("a component");
        fs::rename(self.world.path("next.wasm"), path).expect("in its place");
        let _ = fs::remove_file(self.world.path("runs"));
        let call =
            json!({"requester": "web", "responder": "infra", "topic": "Why?", "policy": "evil"});
        let reply = self.client.tool("dispatch_dialogue", call);
        assert!(self.client.tool("list_agents", json!({})).is_array(), "after {reply}");
        reply
    }

    /// Nobody is asked anything, and the error names this.
    #[track_caller]
    fn refused(&mut self, name: &str, guest: &Guest, part: &str) {
        let reply = self.talk(guest);
        let error = reply["error"].as_str().unwrap_or_else(|| panic!("{name}: {reply}"));
        assert!(error.starts_with("policy 'evil'") && error.contains(part), "{name}: {error}");
        assert!(!error.chars().any(char::is_control), "{name}: {error:?}");
        assert!(reply.get("conversation").is_none(), "{name}: {reply}");
        assert!(reply["hint"].as_str().is_some_and(|hint| hint.contains("Nothing was run")));
        assert_eq!(self.world.runs(), 0, "{name}");
    }

    /// The one turn is there, and the error names this.
    #[track_caller]
    fn ends_after_a_turn(&mut self, name: &str, guest: &Guest, part: &str) {
        let reply = self.talk(guest);
        assert_eq!(reply["resolved"], false, "{name}: {reply}");
        assert_eq!(reply["error_type"], "policy", "{name}: {reply}");
        let error = reply["error"].as_str().expect("an error");
        assert!(error.starts_with("policy 'evil' (") && error.contains(part), "{name}: {error}");
        assert!(!error.chars().any(char::is_control), "{name}: {error:?}");
        assert_eq!(reply["reason"], "its policy failed", "{name}");
        assert_eq!(reply["conversation"].as_array().map(Vec::len), Some(1), "{name}: {reply}");
        assert_eq!(reply["conversation"][0]["message"], "paid for by infra", "{name}");
        assert_eq!(reply["final_answer"], "paid for by infra", "{name}");
        assert_eq!(reply["total_cost_usd"], 0.25, "{name}");
        assert_eq!(self.world.runs(), 1, "{name}");
    }
}

/// What a policy must not decide before the first turn, nor after it.
fn invalid() -> Vec<(&'static str, Decision, &'static str)> {
    let gone = [Piece::Text("as "), Piece::Reply(7)];
    vec![
        ("speaks of no turn", Decision::speak(&gone), "there is no turn 7"),
        ("resolved by no turn", Decision::resolved(&gone), "there is no turn 7"),
        ("stops with no turn", Decision::stop("enough", Some(&gone)), "there is no turn 7"),
        ("says nothing", Decision::speak(&[]), "it speaks, and has nothing to say"),
        (
            "says blanks",
            Decision::speak(&[Piece::Text(" \n")]),
            "it speaks, and has nothing to say",
        ),
    ]
}

#[test]
fn what_goes_wrong_before_the_first_turn_costs_nothing() {
    let mut attack = Attack::new("");
    for (name, body, more, part) in bad_bodies(reason_at) {
        attack.refused(name, &at_once(&body, more), part);
    }
    for (name, decision, part) in invalid() {
        attack.refused(name, &at_once_decides(&decision), part);
    }
    let check = "(unreachable)".to_owned();
    attack.refused("check", &Guest { check, ..Guest::steps("dialogue-policy") }, "it crashed");
    attack.refused("another kind", &Guest::prompt(), "is no dialogue policy, but one for: prompt");
}

#[test]
fn what_goes_wrong_after_a_turn_loses_none() {
    let mut attack = Attack::new("");
    for (name, body, more, part) in bad_bodies(reason_at) {
        attack.ends_after_a_turn(name, &after_a_turn(&body, more), part);
    }
    for (name, decision, part) in invalid() {
        attack.ends_after_a_turn(name, &after_a_turn_decides(&decision), part);
    }
}

#[test]
fn a_policy_that_has_its_answer_asks_nobody() {
    let mut attack = Attack::new("");
    let knew = Decision::resolved(&[Piece::Text("I knew it")]);
    let reply = attack.talk(&at_once_decides(&knew));
    let expected = json!({"resolved": true, "rounds": 0, "total_cost_usd": 0.0,
        "total_duration_ms": 0, "final_answer": "I knew it", "conversation": [],
        "policy": "evil"});
    assert_eq!(reply, expected);
    let stop = Decision::stop(" not\u{7} today\n", Some(&[Piece::Text("Ask again")]));
    let reply = attack.talk(&at_once_decides(&stop));
    assert_eq!(
        (&reply["resolved"], &reply["reason"], &reply["final_answer"]),
        (&json!(false), &json!("not\\u{7} today"), &json!("Ask again"))
    );
    assert_eq!(attack.world.runs(), 0);
    // Words of its own around the replies.
    let pieces = [Piece::Text("<"), Piece::Reply(0), Piece::Text(">")];
    let reply = attack.talk(&after_a_turn_decides(&Decision::resolved(&pieces)));
    assert_eq!(reply["final_answer"], "<paid for by infra>");
    assert_eq!((&reply["resolved"], reply.get("error")), (&json!(true), None));
    // It speaks to one side only, for as long as it may.
    let speak = Decision::speak(&[Piece::Text("Again")]);
    let reply = attack.talk(&at_once_decides(&speak));
    assert_eq!(reply["reason"], "not resolved within max_rounds = 3", "{reply}");
    assert_eq!((&reply["rounds"], attack.world.runs()), (&json!(3), 3));
}

#[test]
fn the_built_in_policy_takes_over_at_any_time_where_the_entry_says_so() {
    let (body, data) = first_then(
        &turns(0),
        &Decision::speak(&[Piece::Text("Hello")]),
        &Decision::resolved(&[Piece::Reply(7)]),
    );
    for (name, guest) in [
        ("at once", at_once("(unreachable)", "")),
        ("after a turn", after_a_turn("(unreachable)", "")),
        ("after an invalid decision", at_once(&body, &data)),
        ("with nothing to say", after_a_turn_decides(&Decision::speak(&[]))),
    ] {
        let mut attack = Attack::new(", on_error: fallback");
        attack.world.agent("web", "count ../runs\nrecord\nanswer So be it. [RESOLVED]");
        let reply = attack.talk(&guest);
        assert_eq!((&reply["resolved"], &reply["policy"]), (&json!(true), &json!("resolved")));
        assert_eq!(reply["final_answer"], "So be it.", "{name}: {reply}");
        assert_eq!(reply["conversation"].as_array().map(Vec::len), Some(2), "{name}: {reply}");
        let why = reply["policy_fallback"].as_str().expect("why");
        assert!(why.contains("'evil'") && why.contains("'resolved' took over"), "{name}: {why}");
        assert_eq!(attack.world.runs(), 2, "{name}");
    }
}
