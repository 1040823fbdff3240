//! The best answer, judged and improved in turn.

use super::bindings::exports::agent_dispatch::policy::aggregate::Ask;
use super::call::{Call, Next, Policy};
use super::types::Reply;
use super::{failed, large, refusal, reply};

const ONCE: Policy = Policy("aggregate-judge-and-refine", "{}");
const TWICE: Policy = Policy("aggregate-judge-and-refine", r#"{"refinements": 2}"#);

/// A call in which all have answered, and the judge's item.
fn answered(policy: Policy) -> (Call, u32) {
    let mut call = Call::new(policy, &["a", "b", "c"]);
    assert_eq!(call.step(), Next::Waits);
    assert_eq!(call.settle(1, reply("80 I think")), Next::Waits);
    assert_eq!(call.settle(2, failed("no money")), Next::Waits);
    let (judge, ask) = call.settle(0, reply("22 for sure")).asked_one();
    assert_eq!((ask.agent.as_str(), ask.continues), ("chief", None));
    assert_eq!(ask.answer_format, "json");
    (call, judge)
}

/// A call in which `b` was judged the best; what it is asked then.
fn judged(policy: Policy, verdict: Reply) -> (Call, u32, Ask) {
    let (mut call, judge) = answered(policy);
    let (refine, ask) = call.settle(judge, verdict).asked_one();
    (call, refine, ask)
}

fn json(text: &str) -> Reply {
    Reply { parsed: Some(text.into()), ..reply(text) }
}

const FOR_B: &str = r#"{"lacks": "0 is surer", "best": 1}"#;

#[test]
fn the_judge_reads_the_task_and_all_answers() {
    let (call, judge) = answered(ONCE);
    assert_eq!(
        call.context(judge),
        "## Task\nWhich port?\n\n## Answer 0 (a)\n22 for sure\n\n## Answer 1 (b)\n80 I think\n\n"
    );

    let mut tasks = Call::new(ONCE, &["a", "b"]);
    tasks.situation.items[1].task = "Which host?".into();
    tasks.end(0, reply("80"));
    let (judge, _) = tasks.settle(1, reply("db")).asked_one();
    assert_eq!(
        tasks.context(judge),
        "## Task\nWhich port?\n\n## Answer 0 (a)\n80\n\n## Task\nWhich host?\n\n## Answer 1 (b)\ndb\n\n"
    );
}

#[test]
fn the_best_answer_is_refined_in_its_own_conversation() {
    let (mut call, refine, ask) = judged(ONCE, json(FOR_B));
    assert_eq!((ask.agent.as_str(), ask.continues), ("b", Some(1)));
    assert_eq!(ask.answer_format, "text");
    assert_eq!(call.context(refine), FOR_B, "the winner reads the verdict");
    assert_eq!(call.item(refine).round, 2);
    let answer = call.settle(refine, reply("80, and here is why"));
    assert_eq!(answer, Next::Answer("80, and here is why".into()));
}

#[test]
fn judge_and_winner_go_on_in_turn() {
    let (mut call, first, _) = judged(TWICE, json(FOR_B));
    let (review, ask) = call.settle(first, reply("80, why: x")).asked_one();
    let judge = call.situation.items[3].id;
    assert_eq!((ask.agent.as_str(), ask.continues), ("chief", Some(judge)));
    assert_eq!(ask.answer_format, "json");
    assert_eq!(call.context(review), "80, why: x", "the judge reads the refined answer");
    let (second, ask) = call.settle(review, json(r#"{"lacks": "a source"}"#)).asked_one();
    assert_eq!((ask.agent.as_str(), ask.continues), ("b", Some(first)));
    assert_eq!(call.context(second), r#"{"lacks": "a source"}"#);
    assert_eq!(call.settle(second, reply("80, see y")), Next::Answer("80, see y".into()));

    let ten = Policy("aggregate-judge-and-refine", r#"{"refinements": 10}"#);
    let (mut call, mut refine, _) = judged(ten, json(FOR_B));
    call.situation.left.rounds = 100;
    for number in 1..10 {
        let (review, _) = call.settle(refine, reply(&number.to_string())).asked_one();
        refine = call.settle(review, json(r#"{"lacks": ["much"]}"#)).asked_one().0;
    }
    assert_eq!(call.settle(refine, reply("10")), Next::Answer("10".into()));
}

#[test]
fn what_lacks_nothing_is_not_refined() {
    for lacks in [
        "",
        r#", "lacks": null"#,
        r#", "lacks": "Nothing. ""#,
        r#", "lacks": """#,
        r#", "lacks": []"#,
    ] {
        let verdict = format!(r#"{{"best": 1{lacks}}}"#);
        let (mut call, judge) = answered(TWICE);
        let answer = call.settle(judge, json(&verdict));
        assert_eq!(answer, Next::Answer("80 I think".into()), "{verdict}");

        let (mut call, refine, _) = judged(TWICE, json(FOR_B));
        let (review, _) = call.settle(refine, reply("80, why: x")).asked_one();
        assert_eq!(call.settle(review, json(&verdict)), Next::Answer("80, why: x".into()));
    }
    let (mut call, refine, _) = judged(TWICE, json(FOR_B));
    let (review, _) = call.settle(refine, reply("80, why: x")).asked_one();
    assert_eq!(call.settle(review, reply("nothing")), Next::Answer("80, why: x".into()));
}

#[test]
fn a_verdict_is_read_as_it_comes() {
    for verdict in [
        reply("**1**: right, but 0 is surer"),
        json(r#"{"best": "1", "lacks": "sources"}"#),
        json(r#"{"best": "Answer 1 (b)", "lacks": {"what": "sources"}}"#),
    ] {
        let (_, _, ask) = judged(ONCE, verdict);
        assert_eq!((ask.agent.as_str(), ask.continues), ("b", Some(1)));
    }
}

#[test]
fn a_failure_on_the_way_leaves_the_best_there_is() {
    let (mut call, refine, _) = judged(TWICE, json(FOR_B));
    assert_eq!(call.settle(refine, failed("no time")), Next::Answer("80 I think".into()));

    let (mut call, refine, _) = judged(TWICE, json(FOR_B));
    let (review, _) = call.settle(refine, reply("80, why: x")).asked_one();
    assert_eq!(call.settle(review, failed("no time")), Next::Answer("80, why: x".into()));

    let (mut call, refine, _) = judged(TWICE, json(FOR_B));
    let (review, _) = call.settle(refine, reply("80, why: x")).asked_one();
    let (second, _) = call.settle(review, json(FOR_B)).asked_one();
    call.cancel(second);
    assert_eq!(call.step(), Next::Answer("80, why: x".into()));
}

#[test]
fn with_nothing_left_what_there_is_is_used() {
    for (rounds, asks) in [(0, 9), (9, 0)] {
        let left = |call: &mut Call| {
            (call.situation.left.rounds, call.situation.left.asks) = (rounds, asks);
        };
        let mut call = Call::new(ONCE, &["a", "b"]);
        left(&mut call);
        call.end(0, reply("80"));
        assert_eq!(
            call.settle(1, failed("no money")),
            Next::Answer(
                "Nothing was left to have these answers judged with.\n\n\
                 ## Agent: a [OK]\n80\n\n## Agent: b [FAILED]\nno money"
                    .into()
            )
        );
        let (mut judged, judge) = answered(ONCE);
        left(&mut judged);
        assert_eq!(judged.settle(judge, json(FOR_B)), Next::Answer("80 I think".into()));
    }
    // A review without a refinement after it would be paid for nothing.
    for (rounds, asks) in [(1, 2), (2, 1)] {
        let (mut call, refine, _) = judged(TWICE, json(FOR_B));
        (call.situation.left.rounds, call.situation.left.asks) = (rounds, asks);
        assert_eq!(call.settle(refine, reply("80, why: x")), Next::Answer("80, why: x".into()));
    }
}

#[test]
fn an_answer_too_large_for_the_policy_is_judged_whole() {
    let mut call = Call::new(ONCE, &["a"]);
    let long = large();
    let (judge, _) = call.settle(0, reply(&long)).asked_one();
    assert!(call.context(judge).ends_with(&format!("## Answer 0 (a)\n{long}\n\n")));
}

#[test]
fn a_verdict_for_nobody_is_no_answer() {
    for verdict in [
        reply("all are good"),
        reply("2"),
        reply("7"),
        failed("no time"),
        json(r#"{"best": 2}"#),
        json(r#"{"best": -1}"#),
        json(r#"{"best": "none"}"#),
        json(r#"{"worst": 1}"#),
        json("1"),
    ] {
        let (mut call, judge) = answered(ONCE);
        assert!(call.settle(judge, verdict).reason().contains("chief"));
    }
    let mut none = Call::new(ONCE, &["a"]);
    assert!(none.settle(0, failed("no money")).reason().contains("a: no money"));
}

#[test]
fn a_wrong_config_is_refused_with_a_reason() {
    for config in ["", "{}", r#"{"refinements": 1}"#, r#"{"refinements": 10}"#] {
        assert_eq!(Policy("aggregate-judge-and-refine", config).check(), Ok(()));
    }
    for (config, why) in [
        (r#"{"refinements": 0}"#, "from 1 to 10"),
        (r#"{"refinements": 11}"#, "from 1 to 10"),
        (r#"{"refinements": "two"}"#, "{refinements: 2}"),
        (r#"{"refinement": 2}"#, "`refinements`"),
        ("[2]", "{refinements: 2}"),
    ] {
        let text = refusal(Policy("aggregate-judge-and-refine", config).check());
        assert!(text.contains(why), "{config}: {text}");
    }
}
