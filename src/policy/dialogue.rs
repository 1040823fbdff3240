//! The kind `dialogue`: who speaks next, and when a dialogue is over.

use super::bindings::dialogue::exports::agent_dispatch::policy::dialogue as wit;
use super::pieces;
use super::ready::Returned;
use super::steps::Kind;
use super::text::{Share, Told};
use super::versions::Call;

pub use super::bindings::agent_dispatch::policy::types::{Agent, Allowance, Piece};
pub use super::bindings::dialogue::exports::agent_dispatch::policy::dialogue::{
    Decision, Side, Speak, Stop,
};
pub(super) use wit::Situation as Seen;

/// The kind's name.
pub const KIND: &str = "dialogue";

/// One message and what came back; its place in the situation is its number.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Who was spoken to, and replied.
    pub side: Side,
    /// 1 for the first turn of each side, and so on.
    pub round: u32,
    /// What it was told.
    pub message: &'a str,
    /// What the policy wrote on the turn.
    pub tag: &'a str,
    /// What it said.
    pub reply: Told<'a>,
}

/// All that has been said so far.
#[derive(Debug)]
pub struct Situation<'a> {
    /// What it is about.
    pub topic: &'a str,
    /// The one with the problem.
    pub requester: &'a Agent,
    /// The one who is asked for help.
    pub responder: &'a Agent,
    /// Oldest first.
    pub turns: Vec<Turn<'a>>,
    /// What there was to use up.
    pub granted: Allowance,
    /// What is left of it.
    pub left: Allowance,
}

impl super::steps::Situation for Situation<'_> {
    type Kind = Dialogue;

    fn text(&self, number: u32) -> &str {
        self.turns.get(number as usize).map_or("", |turn| turn.reply.text)
    }

    fn fit(&self, limit: usize) -> Seen {
        let mut texts = vec![self.topic];
        for turn in &self.turns {
            texts.extend([turn.message, turn.tag]);
            texts.extend(turn.reply.texts());
        }
        let share = Share::of(limit, &texts);
        let turns = self.turns.iter().map(|turn| wit::Turn {
            side: turn.side,
            round: turn.round,
            message: share.fit(turn.message),
            tag: share.fit(turn.tag),
            reply: turn.reply.fit(share),
            facts: Vec::new(),
        });
        Seen {
            topic: share.fit(self.topic),
            requester: share.agent(self.requester),
            responder: share.agent(self.responder),
            turns: turns.collect(),
            granted: self.granted.clone(),
            left: self.left.clone(),
            facts: Vec::new(),
        }
    }

    fn problem(&self, decision: &Decision) -> Option<String> {
        let pieces = match decision {
            Decision::Speak(Speak { message, .. }) => message,
            Decision::Resolved(answer) => answer,
            Decision::Stop(Stop { answer, .. }) => answer.as_ref()?,
        };
        let is_unknown = |turn: &u32| *turn as usize >= self.turns.len();
        if let Some(unknown) = pieces::named(pieces).find(is_unknown) {
            return Some(format!("there is no turn {unknown}"));
        }
        let says_nothing = matches!(decision, Decision::Speak(_))
            && pieces::is_blank(pieces, |number| self.text(number));
        says_nothing.then(|| "it speaks, and has nothing to say".to_owned())
    }
}

/// The kind itself.
pub(crate) struct Dialogue;

impl Kind for Dialogue {
    const NAME: &'static str = KIND;
    type Situation<'a> = Situation<'a>;
    type Seen = Seen;
    type Decision = Decision;

    fn step(call: &mut Call<'_>, seen: &Seen) -> Returned<Decision> {
        call.loaded.version.dialogue(call, seen)
    }
}
