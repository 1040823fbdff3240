//! Digests of parts, then one text.

use super::bindings::exports::agent_dispatch::policy::aggregate::{Ask, ItemState};
use super::call::{Call, Next, Policy};
use super::{failed, large, refusal, reply};

const MAP_REDUCE: Policy = Policy("aggregate-map-reduce", r#"{"part_bytes": 200}"#);

#[test]
fn results_that_fit_are_put_together_at_once() {
    let mut call = Call::new(MAP_REDUCE, &["a", "b"]);
    assert_eq!(call.settle(0, reply("one")), Next::Waits);
    let reduce = call.settle(1, failed("no money")).asked();
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
    let maps = call.settle(1, reply("short")).asked();
    assert_eq!(
        contexts(&call, &maps, "map"),
        [
            format!("## a, from byte 0\n{}\n\n", &long[..200]),
            format!("## a, from byte 200\n{}\n\n", &long[200..400]),
            format!("## a, from byte 400\n{}\n\n## b, from byte 0\nshort\n\n", &long[400..]),
        ]
    );
    let reduce = settle_all(&mut call, &maps, "brief").asked();
    assert_eq!(contexts(&call, &reduce, "reduce"), ["## chief, from byte 0\nbrief\n\n".repeat(3)]);
    assert_eq!(settle_all(&mut call, &reduce, "all"), Next::Answer("all".into()));
}

#[test]
fn a_full_part_leaves_no_empty_one() {
    let mut call = Call::new(MAP_REDUCE, &["a", "b", "c"]);
    call.settle(0, reply(&"x".repeat(200)));
    call.settle(1, reply(""));
    let maps = call.settle(2, reply("z")).asked();
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
    let maps = call.settle(0, reply(&long)).asked();
    let parts = parts(&call, &maps);
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [199, 200, 200, 2]);
    assert_eq!(parts.concat(), long);
}

#[test]
fn a_result_too_large_for_the_policy_is_digested_whole() {
    let mut call = Call::new(Policy("aggregate-map-reduce", r#"{"part_bytes": 5000}"#), &["a"]);
    let long = large();
    let maps = call.settle(0, reply(&long)).asked();
    assert_eq!(maps.len(), 2, "what the policy saw would have fitted into one");
    assert_eq!(parts(&call, &maps).concat(), long);
    let ItemState::Settled(seen) = &call.item(0).state else { panic!("it settled") };
    assert!(!seen.complete && seen.text.len() < long.len(), "the policy saw it all");
}

#[test]
fn digests_that_are_still_too_much_are_digested_again() {
    let mut call = Call::new(MAP_REDUCE, &["a"]);
    let maps = call.settle(0, reply(&"x".repeat(1000))).asked();
    assert_eq!(maps.len(), 5);
    let second = settle_all(&mut call, &maps, &"k".repeat(100)).asked();
    let read = contexts(&call, &second, "map");
    assert_eq!((read.len(), read.concat().matches('k').count()), (3, 500));
    let last = settle_all(&mut call, &second, "z").asked();
    assert_eq!(contexts(&call, &last, "reduce").len(), 1);
    assert_eq!(call.item(last[0].0).round, 3);
    assert_eq!(settle_all(&mut call, &last, "all"), Next::Answer("all".into()));
}

#[test]
fn digests_that_failed_all_are_given_up() {
    let mut call = Call::new(MAP_REDUCE, &["a"]);
    let maps = call.settle(0, reply(&"x".repeat(300))).asked();
    assert_eq!(call.settle(maps[0].0, failed("no money")), Next::Waits);
    assert!(call.settle(maps[1].0, failed("no time")).reason().contains("chief: no time"));
}

#[test]
fn what_does_not_shrink_is_given_up() {
    let mut call = Call::new(MAP_REDUCE, &["a"]);
    let maps = call.settle(0, reply(&"x".repeat(1000))).asked();
    assert!(settle_all(&mut call, &maps, &"k".repeat(500)).reason().contains("no shorter"));
}

#[test]
fn parts_are_digested_only_where_they_can_be_put_together() {
    for (rounds, asks, left) in [(2, 5, "5 in 2"), (1, 6, "6 in 1")] {
        let mut poor = Call::new(MAP_REDUCE, &["a"]);
        (poor.situation.left.rounds, poor.situation.left.asks) = (rounds, asks);
        let reason = poor.settle(0, reply(&"x".repeat(1000))).reason();
        assert!(reason.contains("5 parts") && reason.contains(left), "{reason}");
    }
    let mut enough = Call::new(MAP_REDUCE, &["a"]);
    (enough.situation.left.rounds, enough.situation.left.asks) = (2, 6);
    let maps = enough.settle(0, reply(&"x".repeat(1000))).asked();
    let reduce = settle_all(&mut enough, &maps, "z").asked();
    assert_eq!(settle_all(&mut enough, &reduce, "all"), Next::Answer("all".into()));
}

#[test]
fn results_of_usual_size_make_one_part() {
    let mut call = Call::new(Policy("aggregate-map-reduce", "{}"), &["a", "b"]);
    call.settle(0, reply(&"x".repeat(50_000)));
    assert_eq!(call.settle(1, reply(&"y".repeat(50_000))).asked_one().1.tag, "reduce");
    let mut more = Call::new(Policy("aggregate-map-reduce", "{}"), &["a"]);
    assert_eq!(more.settle(0, reply(&"x".repeat(100_001))).asked().len(), 2);
}

#[test]
fn with_nothing_left_for_it_nothing_is_asked() {
    for (rounds, asks) in [(0, 1), (1, 0)] {
        let mut call = Call::new(MAP_REDUCE, &["a"]);
        (call.situation.left.rounds, call.situation.left.asks) = (rounds, asks);
        let reason = call.settle(0, reply("80")).reason();
        assert!(reason.contains("left"), "{reason}");
    }
}

#[test]
fn a_wrong_config_is_refused_with_a_reason() {
    for config in ["", "{}", r#"{"part_bytes": 1}"#] {
        assert_eq!(Policy("aggregate-map-reduce", config).check(), Ok(()));
    }
    for (config, why) in [
        (r#"{"bound": 200}"#, "`bound`"),
        (r#"{"part_bytes": 0}"#, "nonzero"),
        (r#"{"part_bytes": "1 MB"}"#, "1 MB"),
    ] {
        let text = refusal(Policy("aggregate-map-reduce", config).check());
        assert!(text.contains(why) && text.contains("{part_bytes: 100000}"), "{text}");
    }
}
