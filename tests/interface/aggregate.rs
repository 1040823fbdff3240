//! Vote, first success, judge then refine, map and reduce.

use super::bindings::exports::agent_dispatch::policy::aggregate::{Ask, ItemState};
use super::call::{Call, Next};
use super::types::{PolicyError, Reply};
use super::{failed, instance, reply};

fn asked(next: Next) -> Vec<(u32, Ask)> {
    match next {
        Next::Asks(asks) => asks,
        other => panic!("nothing was asked: {other:?}"),
    }
}

fn reason(next: Next) -> String {
    match next {
        Next::GivesUp(reason) => reason,
        other => panic!("it did not give up: {other:?}"),
    }
}

const MAJORITY: &str = r#"{"rule": "majority"}"#;
const FIRST_SUCCESS: &str = r#"{"rule": "first-success"}"#;
const JUDGE: &str = r#"{"rule": "judge-then-refine"}"#;
const MAP_REDUCE: &str = r#"{"rule": "map-reduce", "bound": 200}"#;

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
fn who_failed_has_no_vote() {
    let mut call = Call::new(MAJORITY, &["a", "b", "c", "d"]);
    assert_eq!(call.settle(0, failed("no money")), Next::Waits);
    assert_eq!(call.settle(1, reply("80")), Next::Waits);
    assert_eq!(call.settle(2, reply("80")), Next::Answer("80".into()));

    let mut none = Call::new(MAJORITY, &["a", "b"]);
    assert_eq!(none.settle(0, failed("no money")), Next::Waits);
    let reason = reason(none.settle(1, failed("no time")));
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

    let mut none = Call::new(FIRST_SUCCESS, &["a"]);
    assert!(reason(none.settle(0, failed("no money"))).contains("a: no money"));
}

/// A call in which `b` was judged the best; what it is asked then.
fn judged(verdict: Reply) -> (Call, u32, Ask) {
    let mut call = Call::new(JUDGE, &["a", "b", "c"]);
    assert_eq!(call.settle(1, reply("80 I think")), Next::Waits);
    assert_eq!(call.settle(2, failed("no money")), Next::Waits);
    let judge = asked(call.settle(0, reply("22 for sure")));
    let [(judge, ask)] = &judge[..] else { panic!("{judge:?}") };
    assert_eq!((ask.agent.as_str(), ask.tag.as_str(), ask.continues), ("chief", "judge", None));
    assert_eq!(ask.answer_format, "json");
    assert_eq!(
        call.context(*judge),
        "## Answer 0 (a)\n22 for sure\n\n## Answer 1 (b)\n80 I think\n\n"
    );
    let mut refine = asked(call.settle(*judge, verdict));
    assert_eq!(refine.len(), 1);
    let (refine, ask) = refine.remove(0);
    (call, refine, ask)
}

fn json(text: &str) -> Reply {
    Reply { parsed: Some(text.into()), ..reply(text) }
}

const FOR_B: &str = r#"{"lacks": "0 is surer", "best": 1}"#;

#[test]
fn the_best_answer_is_refined_in_its_own_conversation() {
    let (mut call, refine, ask) = judged(json(FOR_B));
    assert_eq!((ask.agent.as_str(), ask.tag.as_str(), ask.continues), ("b", "refine", Some(1)));
    assert_eq!(ask.answer_format, "text");
    assert_eq!(call.context(refine), FOR_B, "the winner reads the verdict");
    assert_eq!(call.item(refine).round, 2);
    assert_eq!(
        call.settle(refine, reply("80, and here is why")),
        Next::Answer("80, and here is why".into())
    );
}

#[test]
fn a_verdict_without_json_is_read_as_text() {
    let (_, _, ask) = judged(reply("**1**: right, but 0 is surer"));
    assert_eq!((ask.agent.as_str(), ask.continues), ("b", Some(1)));
}

#[test]
fn a_failed_refinement_leaves_the_best_answer() {
    let (mut call, refine, _) = judged(json(FOR_B));
    assert_eq!(call.settle(refine, failed("no time")), Next::Answer("80 I think".into()));
}

#[test]
fn with_nothing_left_for_it_nothing_is_asked() {
    for (rounds, asks) in [(0, 1), (1, 0)] {
        let left = |call: &mut Call| {
            (call.situation.left.rounds, call.situation.left.asks) = (rounds, asks);
        };
        for config in [JUDGE, MAP_REDUCE] {
            let mut call = Call::new(config, &["a"]);
            left(&mut call);
            let reason = reason(call.settle(0, reply("80")));
            assert!(reason.contains("left"), "{reason}");
        }
        let mut judged = Call::new(JUDGE, &["a"]);
        let judge = asked(judged.settle(0, reply("80")));
        left(&mut judged);
        let best = Next::Answer("80".into());
        assert_eq!(judged.settle(judge[0].0, reply("0")), best, "there is no refining it");
    }
}

#[test]
fn an_answer_too_large_for_the_policy_is_judged_whole() {
    let mut call = Call::new(JUDGE, &["a"]);
    let long = large();
    let judge = asked(call.settle(0, reply(&long)));
    assert_eq!(call.context(judge[0].0), format!("## Answer 0 (a)\n{long}\n\n"));
}

#[test]
fn a_verdict_for_nobody_is_no_answer() {
    let verdicts = [
        reply("all are good"),
        reply("2"),
        reply("7"),
        failed("no time"),
        json(r#"{"best": 2}"#),
        json(r#"{"worst": 1}"#),
    ];
    for verdict in verdicts {
        let mut call = Call::new(JUDGE, &["a", "b", "c"]);
        call.settle(0, reply("22"));
        call.settle(1, reply("80"));
        let judge = asked(call.settle(2, failed("no money")));
        assert!(reason(call.settle(judge[0].0, verdict)).contains("chief"));
    }
    let mut nobody = Call::new(JUDGE, &["a"]);
    nobody.situation.aggregator = None;
    assert!(reason(nobody.settle(0, reply("22"))).contains("no aggregator"));
}

/// More than a policy gets to see, no part of it like another.
fn large() -> String {
    (0..2000).fold(String::new(), |text, number| text + &number.to_string() + "\n")
}

#[test]
fn results_that_fit_are_put_together_at_once() {
    let mut call = Call::new(MAP_REDUCE, &["a", "b"]);
    assert_eq!(call.settle(0, reply("one")), Next::Waits);
    let reduce = asked(call.settle(1, failed("no money")));
    assert_eq!(
        contexts(&call, &reduce, "reduce"),
        ["## a, from byte 0\none\n\n## Nothing from b: no money\n\n"]
    );
    assert_eq!(settle_all(&mut call, &reduce, "all"), Next::Answer("all".into()));
}

/// Lets all asked items reply with this, last first; what follows the last one.
fn settle_all(call: &mut Call, asks: &[(u32, Ask)], text: &str) -> Next {
    let (first, others) = asks.split_first().unwrap();
    for (id, _) in others.iter().rev() {
        assert_eq!(call.settle(*id, reply(text)), Next::Waits);
    }
    call.settle(first.0, reply(text))
}

/// What `chief` is given to read under this tag, ask by ask.
fn contexts<'call>(call: &'call Call, asks: &[(u32, Ask)], tag: &str) -> Vec<&'call str> {
    assert!(asks.iter().all(|(_, ask)| ask.tag == tag && ask.agent == "chief"), "{asks:?}");
    asks.iter().map(|(id, _)| call.context(*id)).collect()
}

/// The parts of one result, where each ask holds one.
fn parts<'call>(call: &'call Call, asks: &[(u32, Ask)]) -> Vec<&'call str> {
    let part = |context: &'call str| {
        let (heading, part) = context.strip_suffix("\n\n").unwrap().split_once('\n').unwrap();
        assert!(heading.starts_with("## a, from byte "), "{context}");
        part
    };
    contexts(call, asks, "map").into_iter().map(part).collect()
}

#[test]
fn too_much_is_digested_in_parts_first() {
    let mut call = Call::new(MAP_REDUCE, &["a", "b"]);
    let long = "früh läuft übel\n".repeat(30);
    call.settle(0, reply(&long));
    let maps = asked(call.settle(1, reply("short")));
    assert_eq!(
        contexts(&call, &maps, "map"),
        [
            format!("## a, from byte 0\n{}\n\n", &long[..200]),
            format!("## a, from byte 200\n{}\n\n", &long[200..400]),
            format!("## a, from byte 400\n{}\n\n## b, from byte 0\nshort\n\n", &long[400..]),
        ]
    );
    let reduce = asked(settle_all(&mut call, &maps, "brief"));
    assert_eq!(contexts(&call, &reduce, "reduce"), ["## chief, from byte 0\nbrief\n\n".repeat(3)]);
    assert_eq!(settle_all(&mut call, &reduce, "all"), Next::Answer("all".into()));
}

#[test]
fn a_full_part_leaves_no_empty_one() {
    let mut call = Call::new(MAP_REDUCE, &["a", "b", "c"]);
    call.settle(0, reply(&"x".repeat(200)));
    call.settle(1, reply(""));
    let maps = asked(call.settle(2, reply("z")));
    assert_eq!(
        contexts(&call, &maps, "map"),
        [
            format!("## a, from byte 0\n{}\n\n## b, from byte 0\n\n\n", "x".repeat(200)),
            "## c, from byte 0\nz\n\n".to_owned(),
        ]
    );
}

#[test]
fn what_is_cut_inside_a_character_is_still_whole() {
    let mut call = Call::new(MAP_REDUCE, &["a"]);
    let long = "x".to_owned() + &"ü".repeat(300);
    let maps = asked(call.settle(0, reply(&long)));
    let parts = parts(&call, &maps);
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [199, 200, 200, 2]);
    assert_eq!(parts.concat(), long);
}

#[test]
fn a_result_too_large_for_the_policy_is_digested_whole() {
    let mut call = Call::new(r#"{"rule": "map-reduce", "bound": 5000}"#, &["a"]);
    let long = large();
    let maps = asked(call.settle(0, reply(&long)));
    assert_eq!(maps.len(), 2, "what the policy saw would have fitted into one");
    assert_eq!(parts(&call, &maps).concat(), long);
    let ItemState::Settled(seen) = &call.item(0).state else { panic!("it settled") };
    assert!(!seen.complete && seen.text.len() < long.len(), "the policy saw it all");
}

#[test]
fn digests_that_are_still_too_much_are_digested_again() {
    let mut call = Call::new(MAP_REDUCE, &["a"]);
    let maps = asked(call.settle(0, reply(&"x".repeat(1000))));
    assert_eq!(maps.len(), 5);
    let second = asked(settle_all(&mut call, &maps, &"k".repeat(100)));
    let read = contexts(&call, &second, "map");
    assert_eq!((read.len(), read.concat().matches('k').count()), (3, 500));
    let last = asked(settle_all(&mut call, &second, "z"));
    assert_eq!(contexts(&call, &last, "reduce").len(), 1);
    assert_eq!(call.item(last[0].0).round, 3);
    assert_eq!(settle_all(&mut call, &last, "all"), Next::Answer("all".into()));
}

#[test]
fn digests_that_failed_all_are_given_up() {
    let mut call = Call::new(MAP_REDUCE, &["a"]);
    let maps = asked(call.settle(0, reply(&"x".repeat(300))));
    assert_eq!(call.settle(maps[0].0, failed("no money")), Next::Waits);
    assert!(reason(call.settle(maps[1].0, failed("no time"))).contains("chief: no time"));
}

#[test]
fn what_does_not_shrink_is_given_up() {
    let mut call = Call::new(MAP_REDUCE, &["a"]);
    let maps = asked(call.settle(0, reply(&"x".repeat(1000))));
    assert!(reason(settle_all(&mut call, &maps, &"k".repeat(500))).contains("no shorter"));
}

#[test]
fn parts_are_digested_only_where_they_can_be_put_together() {
    for (rounds, asks, left) in [(2, 5, "5 in 2"), (1, 6, "6 in 1")] {
        let mut poor = Call::new(MAP_REDUCE, &["a"]);
        (poor.situation.left.rounds, poor.situation.left.asks) = (rounds, asks);
        let reason = reason(poor.settle(0, reply(&"x".repeat(1000))));
        assert!(reason.contains("5 parts") && reason.contains(left), "{reason}");
    }
    let mut enough = Call::new(MAP_REDUCE, &["a"]);
    (enough.situation.left.rounds, enough.situation.left.asks) = (2, 6);
    let maps = asked(enough.settle(0, reply(&"x".repeat(1000))));
    let reduce = asked(settle_all(&mut enough, &maps, "z"));
    assert_eq!(settle_all(&mut enough, &reduce, "all"), Next::Answer("all".into()));
}

#[test]
fn a_wrong_config_is_refused_with_a_reason() {
    let check = |config| {
        let (mut store, policy) = instance();
        policy.agent_dispatch_policy_aggregate().call_check(&mut store, config).unwrap()
    };
    for config in [MAJORITY, FIRST_SUCCESS, JUDGE, MAP_REDUCE] {
        assert_eq!(check(config), Ok(()));
    }
    for (config, why) in [
        ("{}", "rule"),
        (r#"{"rule": "loudest"}"#, "loudest"),
        (r#"{"rule": "majority", "quorum": 2}"#, "quorum"),
        (r#"{"rule": "map-reduce"}"#, "bound"),
        (r#"{"rule": "map-reduce", "bound": 0}"#, "nonzero"),
    ] {
        match check(config) {
            Err(PolicyError::InvalidConfig(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{config}: {other:?}"),
        }
    }
}
