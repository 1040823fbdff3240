//! The marker, the rule against going in circles, the rule about money.

use super::bindings::exports::agent_dispatch::policy::dialogue::{
    Decision, Side, Situation, Speak, Stop, Turn,
};
use super::types::{PolicyError, Reply};
use super::{INPUT_LIMIT, Texts, agent, allowance, failed, instance, reply, seen};

/// A dialogue as a host keeps it.
struct Dialogue {
    config: &'static str,
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
    fn new(config: &'static str) -> Self {
        let situation = Situation {
            topic: "Why is it slow?".into(),
            requester: agent("web"),
            responder: agent("infra"),
            turns: vec![],
            granted: allowance(),
            left: allowance(),
            facts: vec![],
        };
        Self { config, situation, texts: Texts::default() }
    }

    fn decide(&self) -> Decision {
        let (mut store, policy) = instance();
        let policy = policy.agent_dispatch_policy_dialogue();
        policy.call_step(&mut store, self.config, &self.situation).unwrap().unwrap()
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
        if let Some(left) = &mut self.situation.left.spend_usd {
            *left -= reply.cost_usd.unwrap_or_default();
        }
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

const MARKER: &str = r#"{"rule": "marker"}"#;
const NO_PROGRESS: &str = r#"{"rule": "no-progress"}"#;
const BUDGET: &str = r#"{"rule": "budget", "share": 0.25}"#;

#[test]
fn the_two_speak_in_turn_and_the_responder_begins() {
    let mut dialogue = Dialogue::new(MARKER);
    let first = dialogue.spoken();
    assert_eq!(first.to, Side::Responder);
    assert!(first.message.contains("'web'") && first.message.contains("Why is it slow?"));
    let second = dialogue.goes_on("How slow?");
    assert_eq!(second.to, Side::Requester);
    assert!(second.message.contains("'infra'") && second.message.contains("How slow?"));
    assert!(second.message.contains("Why is it slow?"), "the requester is told the topic once");
    let third = dialogue.goes_on("Nine seconds.");
    assert_eq!(third.to, Side::Responder);
    assert!(third.message.contains("Nine seconds.") && !third.message.contains("Why is it slow?"));
    let rounds: Vec<_> =
        dialogue.situation.turns.iter().map(|turn| (turn.side, turn.round)).collect();
    assert_eq!(rounds, [(Side::Responder, 1), (Side::Requester, 1)]);
}

#[test]
fn a_message_that_ends_with_the_marker_resolves_it() {
    for text in
        ["Use a cache.\n[RESOLVED]", "Use a cache. **[RESOLVED]**.\n", "Use a cache `[RESOLVED]` _"]
    {
        let mut dialogue = Dialogue::new(MARKER);
        dialogue.goes_on("How slow?");
        assert_eq!(dialogue.resolved(text), "Use a cache");
    }
}

#[test]
fn what_is_too_long_for_the_policy_is_passed_on_whole() {
    let long = "Why? ".repeat(INPUT_LIMIT) + "That is why";
    let mut dialogue = Dialogue::new(MARKER);
    assert!(dialogue.goes_on(&long).message.contains(&long));
    assert_eq!(dialogue.resolved(&format!("{long}. [RESOLVED]\n")), long);
}

#[test]
fn a_mention_of_the_marker_ends_nothing() {
    let mut dialogue = Dialogue::new(MARKER);
    dialogue.goes_on("I will not say [RESOLVED] yet");
    dialogue.goes_on("[RESOLVED] is what you want to hear?");
    dialogue.goes_on("[resolved]");
    dialogue.goes_on("[RESOLVED]?");
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
fn a_share_of_the_money_is_kept() {
    let mut dialogue = Dialogue::new(BUDGET);
    dialogue.situation.granted.spend_usd = Some(2.0);
    dialogue.situation.left.spend_usd = Some(2.0);
    let cost = |dollars| Reply { cost_usd: Some(dollars), ..reply("hm") };
    assert!(matches!(dialogue.turn(cost(1.0)), Decision::Speak(_)));
    assert!(matches!(dialogue.turn(cost(0.5)), Decision::Speak(_)), "a quarter is left, not less");
    let reason = reason(dialogue.turn(cost(0.125)));
    assert!(reason.contains("2.00") && reason.contains("0.38"), "{reason}");

    // Money counts as spent, whether or not a reply told what it cost.
    let mut untold = Dialogue::new(BUDGET);
    untold.situation.granted.spend_usd = Some(2.0);
    untold.situation.left.spend_usd = Some(0.375);
    assert!(matches!(untold.decide(), Decision::Stop(_)));

    let mut unlimited = Dialogue::new(BUDGET);
    assert!(matches!(unlimited.turn(cost(1e6)), Decision::Speak(_)));
}

#[test]
fn a_side_that_fails_ends_the_dialogue() {
    for config in [MARKER, NO_PROGRESS, BUDGET] {
        let mut dialogue = Dialogue::new(config);
        dialogue.goes_on("Is it [RESOLVED]?");
        dialogue.goes_on("Nine seconds.");
        // What was said by then neither resolves it nor repeats anything.
        let cut_off = Reply { text: "It is [RESOLVED]".into(), ..failed("no money") };
        let reason = reason(dialogue.turn(cut_off));
        assert!(reason.contains("infra") && reason.contains("no money"), "{reason}");
    }
}

#[test]
fn a_wrong_config_is_refused_with_a_reason() {
    let check = |config| {
        let (mut store, policy) = instance();
        policy.agent_dispatch_policy_dialogue().call_check(&mut store, config).unwrap()
    };
    for config in [MARKER, NO_PROGRESS, BUDGET] {
        assert_eq!(check(config), Ok(()));
    }
    for (config, why) in
        [(r#"{"rule": "majority"}"#, "majority"), (r#"{"rule": "budget", "share": 2}"#, "0 to 1")]
    {
        match check(config) {
            Err(PolicyError::InvalidConfig(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{config}: {other:?}"),
        }
    }
}
