//! The marker that ends a dialogue, the rule against going in circles, the rule about money.

use super::bindings::dialogues::exports::agent_dispatch::policy::dialogue::{
    Decision, Side, Situation, Speak, Stop, Turn,
};
use super::types::{PolicyError, Reply};
use super::{INPUT_LIMIT, Texts, agent, allowance, dialogue_policy, refusal, reply, seen};

/// A policy as it is chosen: its component and its config.
#[derive(Clone, Copy)]
struct Policy(&'static str, &'static str);

impl Policy {
    fn check(self) -> Result<(), PolicyError> {
        let (mut store, policy) = dialogue_policy(self.0);
        policy.agent_dispatch_policy_dialogue().call_check(&mut store, self.1).unwrap()
    }
}

/// A dialogue as a host keeps it.
struct Dialogue {
    policy: Policy,
    situation: Situation,
    texts: Texts,
}

/// Whom the policy speaks to, and what it says.
struct Spoken {
    to: Side,
    message: String,
    tag: String,
}

impl Dialogue {
    fn new(policy: Policy) -> Self {
        let situation = Situation {
            topic: "Why is it slow?".into(),
            requester: agent("web"),
            responder: agent("infra"),
            turns: vec![],
            granted: allowance(),
            left: allowance(),
            facts: vec![],
        };
        Self { policy, situation, texts: Texts::default() }
    }

    fn decide(&self) -> Decision {
        let Policy(name, config) = self.policy;
        let (mut store, policy) = dialogue_policy(name);
        let policy = policy.agent_dispatch_policy_dialogue();
        policy.call_step(&mut store, config, &self.situation).unwrap().unwrap()
    }

    fn spoken(&self) -> Spoken {
        match self.decide() {
            Decision::Speak(Speak { to, message, tag }) => {
                Spoken { to, message: self.texts.join(&message), tag }
            }
            other => panic!("it is over: {other:?}"),
        }
    }

    /// Whoever is spoken to replies with this; what the policy makes of it.
    fn turn(&mut self, reply: Reply) -> Decision {
        let Spoken { to: side, message, tag } = self.spoken();
        let earlier = self.situation.turns.iter().filter(|turn| turn.side == side).count();
        let round = u32::try_from(earlier).unwrap() + 1;
        self.texts.0.push(Some(reply.text.clone()));
        let reply = seen(reply);
        self.situation.turns.push(Turn { side, round, message, tag, reply, facts: vec![] });
        self.decide()
    }

    /// The same, where the dialogue goes on.
    fn goes_on(&mut self, text: &str) -> Spoken {
        self.turn(reply(text));
        self.spoken()
    }

    /// What resolved it, put together.
    fn resolved(&mut self, text: &str) -> String {
        match self.turn(reply(text)) {
            Decision::Resolved(answer) => self.texts.join(&answer),
            other => panic!("{text:?} did not resolve it: {other:?}"),
        }
    }
}

fn reason(decision: Decision) -> String {
    match decision {
        Decision::Stop(Stop { reason, answer: None }) => reason,
        other => panic!("it did not stop: {other:?}"),
    }
}

const RESOLVED: Policy = Policy("dialogue-resolved", "{}");
const NO_PROGRESS: Policy = Policy("dialogue-no-progress", "{}");
const BUDGET: Policy = Policy("dialogue-budget", r#"{"max_usd": 0.5}"#);

#[test]
fn the_two_speak_in_turn_and_the_responder_begins() {
    let mut dialogue = Dialogue::new(RESOLVED);
    let first = dialogue.spoken();
    assert_eq!(first.to, Side::Responder);
    assert!(first.message.contains("'web'"), "{}", first.message);
    assert!(first.message.ends_with("\n\nTopic:\nWhy is it slow?"), "{}", first.message);
    let second = dialogue.goes_on("How slow?");
    assert_eq!(second.to, Side::Requester);
    assert!(second.message.starts_with("Topic:\nWhy is it slow?\n\n"), "{}", second.message);
    assert!(second.message.contains("'infra' says:\n\nHow slow?\n\n"), "{}", second.message);
    let third = dialogue.goes_on("Nine seconds.");
    assert_eq!(third.to, Side::Responder);
    assert!(third.message.contains("'web' says:\n\nNine seconds.\n\n"), "{}", third.message);
    let fourth = dialogue.goes_on("Use a cache.");
    assert_eq!(fourth.to, Side::Requester);
    for message in [&third.message, &fourth.message] {
        assert!(!message.contains("Topic:"), "told once to each: {message}");
    }
    for spoken in [first, second, third, fourth] {
        assert!(spoken.message.contains("end your reply with [RESOLVED]"), "{}", spoken.message);
    }
    let rounds: Vec<_> =
        dialogue.situation.turns.iter().map(|turn| (turn.side, turn.round)).collect();
    assert_eq!(rounds, [(Side::Responder, 1), (Side::Requester, 1), (Side::Responder, 2)]);
}

#[test]
fn a_topic_is_told_whole() {
    let mut dialogue = Dialogue::new(RESOLVED);
    let topic = format!("{}[RESOLVED]", "Why? ".repeat(INPUT_LIMIT));
    dialogue.situation.topic.clone_from(&topic);
    assert!(dialogue.spoken().message.contains(&topic));
    assert!(dialogue.goes_on("How slow?").message.contains(&topic));
}

#[test]
fn a_message_that_ends_with_the_marker_resolves_it() {
    for policy in [RESOLVED, NO_PROGRESS, BUDGET] {
        for (text, answer) in [
            ("Use a cache.\n[RESOLVED]", "Use a cache."),
            ("Use a cache. **[RESOLVED]**.\n", "Use a cache."),
            ("Use a cache `[RESOLVED]` _", "Use a cache"),
            ("```\ncache: on\n```\n\n[RESOLVED]", "```\ncache: on\n```"),
            ("The marker is [RESOLVED]. [RESOLVED]", "The marker is [RESOLVED]."),
        ] {
            let mut dialogue = Dialogue::new(policy);
            dialogue.goes_on("How slow?");
            assert_eq!(dialogue.resolved(text), answer);
        }
    }
    assert_eq!(Dialogue::new(RESOLVED).resolved("Use a cache. [RESOLVED]"), "Use a cache.");
}

#[test]
fn the_marker_alone_agrees_with_what_the_other_side_said() {
    for marker in ["[RESOLVED]", "\n**[RESOLVED]**\n", "***\n[RESOLVED].", "```\n[RESOLVED]\n```"] {
        let mut dialogue = Dialogue::new(RESOLVED);
        dialogue.goes_on("How slow?");
        dialogue.goes_on("Nine seconds.");
        let long = "Use a cache. ".repeat(INPUT_LIMIT);
        dialogue.goes_on(&long);
        assert_eq!(dialogue.resolved(marker), long, "{marker:?}");
    }
    let reason = reason(Dialogue::new(RESOLVED).turn(reply("[RESOLVED]")));
    assert!(reason.contains("infra"), "{reason}");
}

#[test]
fn what_is_too_long_for_the_policy_is_passed_on_whole() {
    let long = "Why? ".repeat(INPUT_LIMIT) + "That is why";
    let mut dialogue = Dialogue::new(RESOLVED);
    assert!(dialogue.goes_on(&long).message.contains(&long));
    assert_eq!(dialogue.resolved(&format!("{long} **[RESOLVED]**\n")), long);
}

#[test]
fn a_mention_of_the_marker_ends_nothing() {
    let mut dialogue = Dialogue::new(RESOLVED);
    dialogue.goes_on("I will not say [RESOLVED] yet");
    dialogue.goes_on("[RESOLVED] is what you want to hear?");
    dialogue.goes_on("[resolved]");
    dialogue.goes_on("[RESOLVED]?");
    dialogue.goes_on("Is it [RESOLVED]?");
    dialogue.goes_on("[RESOLVED] **but** one thing is open.");
}

#[test]
fn who_repeats_itself_ends_the_dialogue() {
    let said = "one two three four five six seven eight nine ten";
    let mut dialogue = Dialogue::new(NO_PROGRESS);
    dialogue.goes_on(said);
    // The other side may say the same: that is agreement.
    dialogue.goes_on(said);
    // Eight words of ten are not enough.
    dialogue.goes_on("one two three four five six seven eight NEW WORDS");
    let decision = dialogue.turn(reply("One, two, three - four five six seven eight nine more!"));
    assert!(reason(decision).starts_with("web repeats itself"));
}

#[test]
fn a_word_said_once_does_not_count_often() {
    let mut dialogue = Dialogue::new(NO_PROGRESS);
    dialogue.goes_on("no idea");
    dialogue.goes_on("me neither");
    dialogue.goes_on("no no no no no no no no no no");
}

#[test]
fn what_is_cut_repeats_nothing() {
    let long = "so ".repeat(INPUT_LIMIT);
    let mut dialogue = Dialogue::new(NO_PROGRESS);
    dialogue.goes_on(&(long.clone() + "slow " + &long));
    dialogue.goes_on("How slow?");
    dialogue.goes_on(&(long.clone() + "fast " + &long));
}

#[test]
fn only_who_watches_for_it_minds_repetition() {
    for policy in [RESOLVED, BUDGET] {
        let mut dialogue = Dialogue::new(policy);
        for _ in 0..4 {
            dialogue.goes_on("me too");
        }
    }
}

fn for_dollars(dollars: f64) -> Reply {
    Reply { cost_usd: Some(dollars), ..reply("hm") }
}

#[test]
fn the_turns_may_cost_so_much() {
    let mut dialogue = Dialogue::new(BUDGET);
    assert!(matches!(dialogue.turn(for_dollars(0.25)), Decision::Speak(_)));
    assert!(matches!(dialogue.turn(reply("for free")), Decision::Speak(_)));
    assert!(matches!(dialogue.turn(for_dollars(0.125)), Decision::Speak(_)));
    let reason = reason(dialogue.turn(for_dollars(0.125)));
    assert!(reason.contains("$0.5000") && reason.contains("`max_usd` is 0.5"), "{reason}");
}

#[test]
fn what_is_resolved_is_an_answer_whatever_it_cost() {
    let mut dialogue = Dialogue::new(BUDGET);
    let last = Reply { text: "Use a cache. [RESOLVED]".into(), size: 23, ..for_dollars(7.0) };
    match dialogue.turn(last) {
        Decision::Resolved(answer) => assert_eq!(dialogue.texts.join(&answer), "Use a cache."),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_config_is_refused_with_a_reason() {
    for policy in [RESOLVED, NO_PROGRESS, BUDGET] {
        assert_eq!(policy.check(), Ok(()));
    }
    for Policy(component, _) in [RESOLVED, NO_PROGRESS] {
        let text = refusal(Policy(component, r#"{"marker": "[DONE]"}"#).check());
        let name = component.strip_prefix("dialogue-").unwrap();
        assert!(text.contains(&format!("`{name}`")) && text.contains("empty"), "{text}");
    }
    for (config, why) in [
        ("", "missing field `max_usd`"),
        ("{}", "{max_usd: 0.50}"),
        (r#"{"max_usd": 0}"#, "more than 0"),
        (r#"{"max_usd": -1.5}"#, "-1.5"),
        (r#"{"max_usd": "$1"}"#, "{max_usd: 0.50}"),
        (r#"{"max_usd": 1, "share": 0.5}"#, "`share`"),
    ] {
        let text = refusal(Policy(BUDGET.0, config).check());
        assert!(text.contains(why), "{config}: {text}");
    }
}
