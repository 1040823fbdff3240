//! One answer of all results, all results in a row, the vote, the first success.

use super::bindings::exports::agent_dispatch::policy::aggregate::ItemState;
use super::call::{Call, Next, Policy};
use super::types::Reply;
use super::{INPUT_LIMIT, failed, refusal, reply};

const SYNTHESIZE: Policy = Policy("aggregate-synthesize", "{}");
const CONCATENATE: Policy = Policy("aggregate-concatenate", "{}");
const MAJORITY: Policy = Policy("aggregate-majority", "{}");
const FIRST_SUCCESS: Policy = Policy("aggregate-first-success", "{}");

fn with_outcome(outcome: &str, reply: Reply) -> Reply {
    Reply { outcome: Some(outcome.into()), ..reply }
}

/// A call in which items ended in all the ways there are, the last of them still running.
fn ended_in_all_ways(policy: Policy) -> Call {
    let mut call = Call::new(policy, &["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(call.step(), Next::Waits);
    assert_eq!(call.settle(6, with_outcome("done", reply("all\n"))), Next::Waits);
    call.end(0, reply("80"));
    call.end(1, with_outcome("partial", reply("half")));
    call.end(2, with_outcome("blocked", reply("no key")));
    // What an agent had said by the time it failed is no result.
    call.end(3, Reply { text: "I th".into(), ..failed("no money") });
    call.end(4, with_outcome("partial", Reply { error: None, ..failed("") }));
    assert_eq!(call.step(), Next::Waits);
    call.cancel(5);
    call
}

const BLOCKS: &str = "\
## Agent: a [OK]
80

## Agent: b [OK, agent reports PARTIAL]
half

## Agent: c [OK, agent reports BLOCKED]
no key

## Agent: d [FAILED]
no money

## Agent: e [FAILED, agent reports PARTIAL]
failed without saying why

## Agent: f [FAILED]
cancelled

## Agent: g [OK]
all
";

#[test]
fn all_results_stand_in_a_row() {
    let answer = ended_in_all_ways(CONCATENATE).step();
    assert_eq!(answer, Next::Answer(BLOCKS.into()));

    let mut alone = Call::new(CONCATENATE, &["a"]);
    alone.situation.aggregator = None;
    let long = "x".repeat(2 * INPUT_LIMIT);
    let answer = alone.settle(0, reply(&long));
    assert_eq!(answer, Next::Answer(format!("## Agent: a [OK]\n{long}")));

    let mut none = Call::new(CONCATENATE, &["a", "b"]);
    none.cancel(1);
    let reason = none.settle(0, failed("no money")).reason();
    assert!(reason.contains("a: no money") && reason.contains("b: cancelled"), "{reason}");
}

#[test]
fn the_aggregator_makes_one_answer_of_all_results() {
    let mut call = ended_in_all_ways(SYNTHESIZE);
    let (id, ask) = call.step().asked_one();
    assert_eq!((ask.agent.as_str(), ask.continues), ("chief", None));
    assert_eq!(ask.answer_format, "text");
    assert_eq!(call.context(id), BLOCKS);
    assert_eq!(call.step(), Next::Waits);
    assert_eq!(call.settle(id, reply("80 it is")), Next::Answer("80 it is".into()));
}

#[test]
fn the_aggregator_is_asked_about_failures_and_its_own_is_the_answer() {
    let mut call = Call::new(SYNTHESIZE, &["a"]);
    let (id, _) = call.settle(0, failed("no money")).asked_one();
    assert_eq!(call.context(id), "## Agent: a [FAILED]\nno money");
    let cut_off = Reply { text: "It se".into(), ..failed("no time") };
    assert_eq!(call.settle(id, cut_off), Next::Answer("It se".into()));

    let mut cancelled = Call::new(SYNTHESIZE, &["a"]);
    let (id, _) = cancelled.settle(0, reply("80")).asked_one();
    cancelled.cancel(id);
    assert_eq!(cancelled.step(), Next::Answer(String::new()));
}

#[test]
fn an_aggregator_is_missed_before_anything_has_run() {
    for policy in [
        SYNTHESIZE,
        Policy("aggregate-judge-and-refine", "{}"),
        Policy("aggregate-map-reduce", "{}"),
    ] {
        let mut call = Call::new(policy, &["a", "b"]);
        call.situation.aggregator = None;
        let reason = call.step().reason();
        assert!(reason.contains("`aggregate`") && reason.contains("`concatenate`"), "{reason}");
    }
    for policy in [CONCATENATE, MAJORITY, FIRST_SUCCESS] {
        let mut call = Call::new(policy, &["a", "b"]);
        call.situation.aggregator = None;
        assert_eq!(call.step(), Next::Waits);
    }
}

#[test]
fn two_of_three_are_a_majority_whoever_they_are() {
    for [first, second, third] in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut call = Call::new(MAJORITY, &["a", "b", "c"]);
        assert_eq!(call.step(), Next::Waits);
        assert_eq!(call.settle(first, reply(" Port 80\n")), Next::Waits);
        let answer = call.settle(second, reply("port 80"));
        let first_asked = if first < second { " Port 80\n" } else { "port 80" };
        assert_eq!(answer, Next::Answer(first_asked.into()));
        assert_eq!(call.item(third).state, ItemState::Cancelled);
    }
}

#[test]
fn without_a_majority_all_are_heard() {
    let mut call = Call::new(MAJORITY, &["a", "b", "c", "d", "e"]);
    for (id, text) in [(4, "80"), (3, "443"), (2, "22"), (1, "443")] {
        assert_eq!(call.settle(id, reply(text)), Next::Waits);
    }
    assert_eq!(call.settle(0, reply("21")), Next::Answer("443".into()));

    let mut tie = Call::new(MAJORITY, &["a", "b"]);
    assert_eq!(tie.settle(1, reply("443")), Next::Waits);
    assert_eq!(tie.settle(0, reply("80")), Next::Answer("80".into()), "of equals the first asked");
}

#[test]
fn several_votes_may_come_at_once() {
    let mut call = Call::new(MAJORITY, &["a", "b", "c"]);
    call.end(2, reply("80"));
    assert_eq!(call.settle(1, reply("80")), Next::Answer("80".into()));

    let mut all = Call::new(MAJORITY, &["a", "b", "c"]);
    all.end(0, reply("22"));
    all.cancel(1);
    assert_eq!(all.settle(2, reply("80")), Next::Answer("22".into()));
}

#[test]
fn who_failed_has_no_vote() {
    let mut call = Call::new(MAJORITY, &["a", "b", "c", "d"]);
    assert_eq!(call.settle(0, failed("no money")), Next::Waits);
    assert_eq!(call.settle(1, reply("80")), Next::Waits);
    assert_eq!(call.settle(2, reply("80")), Next::Answer("80".into()));

    let mut none = Call::new(MAJORITY, &["a", "b"]);
    assert_eq!(none.settle(0, failed("no money")), Next::Waits);
    let reason = none.settle(1, failed("no time")).reason();
    assert!(reason.contains("a: no money") && reason.contains("b: no time"), "{reason}");
}

#[test]
fn what_is_cut_agrees_with_nothing() {
    let mut call = Call::new(MAJORITY, &["a", "b", "c"]);
    let long = "x".repeat(5000) + "80" + &"x".repeat(5000);
    assert_eq!(call.settle(2, reply(&long)), Next::Waits);
    assert_eq!(call.settle(1, reply(&long.replace("80", "22"))), Next::Waits);
    assert_eq!(call.settle(0, reply("80")), Next::Answer("80".into()), "one vote for each");
    let seen = |id| match &call.item(id).state {
        ItemState::Settled(reply) => reply.text.clone(),
        state => panic!("{state:?}"),
    };
    assert_eq!(seen(1), seen(2), "the policy cannot tell them apart");
}

#[test]
fn the_first_success_ends_the_others() {
    let mut call = Call::new(FIRST_SUCCESS, &["a", "b", "c"]);
    assert_eq!(call.step(), Next::Waits);
    assert_eq!(call.settle(0, failed("no money")), Next::Waits);
    assert_eq!(call.settle(2, reply("80")), Next::Answer("80".into()));
    assert_eq!(call.item(1).state, ItemState::Cancelled);

    let mut both = Call::new(FIRST_SUCCESS, &["a", "b"]);
    both.end(1, reply("443"));
    assert_eq!(both.settle(0, reply("80")), Next::Answer("80".into()), "the first asked");

    let mut none = Call::new(FIRST_SUCCESS, &["a"]);
    assert!(none.settle(0, failed("no money")).reason().contains("a: no money"));
}

#[test]
fn what_needs_no_config_takes_none() {
    for Policy(name, config) in [SYNTHESIZE, CONCATENATE, MAJORITY, FIRST_SUCCESS] {
        assert_eq!(Policy(name, config).check(), Ok(()));
        let text = refusal(Policy(name, r#"{"quorum": 2}"#).check());
        let called = name.strip_prefix("aggregate-").unwrap();
        assert!(text.contains(&format!("`{called}`")) && text.contains("empty"), "{text}");
    }
}
