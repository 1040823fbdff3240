//! The kind `dialogue`: who speaks next, and when a dialogue is over.

use std::sync::Arc;

use wasmtime::Store;

use super::Host;
use super::bindings::dialogue::exports::agent_dispatch::policy::dialogue as wit;
use super::bindings::dialogue::{DialoguePolicy, DialoguePolicyPre};
use super::component::Loaded;
use super::error::{Failure, PolicyError};
use super::limits::mebibytes;
use super::pieces;
use super::ready::Ready;
use super::source::Source;
use super::state::State;
use super::steps::Steps;
use super::text::{Share, Told};

pub use super::bindings::agent_dispatch::policy::types::{Agent, Allowance, Piece};
pub use super::bindings::dialogue::exports::agent_dispatch::policy::dialogue::{
    Decision, Side, Speak, Stop,
};

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

impl Situation<'_> {
    /// The full text of a turn's reply.
    fn text(&self, number: u32) -> &str {
        self.turns.get(number as usize).map_or("", |turn| turn.reply.text)
    }

    fn fit(&self, limit: usize) -> wit::Situation {
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
        wit::Situation {
            topic: share.fit(self.topic),
            requester: share.agent(self.requester),
            responder: share.agent(self.responder),
            turns: turns.collect(),
            granted: self.granted.clone(),
            left: self.left.clone(),
            facts: Vec::new(),
        }
    }

    /// What is wrong with a decision in this situation.
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

/// A dialogue policy that is loaded and whose config it has accepted.
pub struct Dialogue(Ready);

/// A fresh instance of the component.
fn instance(store: &mut Store<State>, loaded: &Loaded) -> wasmtime::Result<DialoguePolicy> {
    let instance = DialoguePolicyPre::new(loaded.instance.clone())?.instantiate(&mut *store)?;
    store.data_mut().set_instantiated();
    Ok(instance)
}

impl Dialogue {
    /// The policy's name and, in brackets, which component it is.
    pub fn title(&self) -> String {
        self.0.title()
    }
}

impl Steps for Dialogue {
    const KIND: &'static str = "dialogue";
    type Situation<'a> = Situation<'a>;
    type Decision = Decision;

    async fn load(host: &Arc<Host>, source: &Source) -> Result<Self, PolicyError> {
        let check = |store: &mut Store<State>, loaded: &Loaded, config: &str| {
            instance(store, loaded)?.agent_dispatch_policy_dialogue().call_check(store, config)
        };
        Ok(Self(Ready::load(host, source, Self::KIND, check).await?))
    }

    async fn step(&self, situation: &Self::Situation<'_>) -> Result<Decision, PolicyError> {
        let seen = situation.fit(mebibytes(self.0.limits.input_mib));
        let config = self.0.config.clone();
        let call = move |store: &mut Store<State>, loaded: &Loaded| {
            let instance = instance(store, loaded)?;
            instance.agent_dispatch_policy_dialogue().call_step(store, &config, &seen)
        };
        let decision = self.0.call(call).await?;
        match situation.problem(&decision) {
            None => Ok(decision),
            Some(problem) => Err(self.0.error(Failure::BadDecision(problem))),
        }
    }
    fn join(
        &self,
        situation: &Self::Situation<'_>,
        pieces: &[Piece],
    ) -> Result<String, PolicyError> {
        let joined = pieces::join(pieces, |number| situation.text(number));
        joined.map_err(|failure| self.0.error(failure))
    }
}
