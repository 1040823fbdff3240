//! The kind `aggregate`: how many answers become one.

use std::collections::HashSet;

use super::bindings::aggregate::exports::agent_dispatch::policy::aggregate as wit;
use super::pieces;
use super::ready::Returned;
use super::steps::Kind;
use super::text::{SAID, Share, Told, shown};
use super::versions::Call;

pub use super::bindings::agent_dispatch::policy::types::{Agent, Allowance, Piece};
pub use super::bindings::aggregate::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision,
};
pub(super) use wit::Situation as Seen;

/// The kind's name.
pub const KIND: &str = "aggregate";

/// One dispatch; its place in the situation is its number.
#[derive(Debug)]
pub struct Item<'a> {
    /// The agent's name.
    pub agent: &'a str,
    /// What it was asked.
    pub task: &'a str,
    /// What the caller gave along; empty for none.
    pub context: &'a str,
    /// `text` or `json`.
    pub answer_format: &'a str,
    /// The item whose conversation this one continues.
    pub continues: Option<u32>,
    /// What the policy wrote on it.
    pub tag: &'a str,
    /// 0 for what the caller asked.
    pub round: u32,
    /// How far it has come.
    pub state: ItemState<'a>,
}

/// How far an item has come.
#[derive(Debug)]
pub enum ItemState<'a> {
    /// It is on, or not started yet.
    Running,
    /// It ended, well or not.
    Settled(Told<'a>),
    /// It was ended before its time.
    Cancelled(Told<'a>),
}

impl<'a> ItemState<'a> {
    fn told(&self) -> Option<&Told<'a>> {
        match self {
            Self::Running => None,
            Self::Settled(told) | Self::Cancelled(told) => Some(told),
        }
    }
}

/// All that has happened so far.
#[derive(Debug)]
pub struct Situation<'a> {
    /// In the order in which they were asked.
    pub items: Vec<Item<'a>>,
    /// Whom the policy may ask.
    pub agents: &'a [Agent],
    /// The agent that the caller chose for putting the answers together.
    pub aggregator: Option<&'a str>,
    /// Who asks.
    pub caller: Option<&'a str>,
    /// What for.
    pub goal: Option<&'a str>,
    /// What there was to use up.
    pub granted: Allowance,
    /// What is left of it.
    pub left: Allowance,
}

impl super::steps::Situation for Situation<'_> {
    type Kind = Aggregate;

    fn text(&self, number: u32) -> &str {
        let item = self.items.get(number as usize);
        item.and_then(|item| item.state.told()).map_or("", |told| told.text)
    }

    fn fit(&self, limit: usize) -> Seen {
        let mut texts: Vec<&str> = [self.caller, self.goal].into_iter().flatten().collect();
        for item in &self.items {
            texts.extend([item.task, item.context, item.tag]);
            if let ItemState::Settled(told) = &item.state {
                texts.extend(told.texts());
            }
        }
        texts.extend(self.agents.iter().filter_map(|agent| agent.description.as_deref()));
        let share = Share::of(limit, &texts);
        let items = self.items.iter().zip(0..).map(|(item, id)| wit::Item {
            id,
            agent: item.agent.to_owned(),
            task: share.fit(item.task),
            context: share.fit_optional(Some(item.context)),
            answer_format: item.answer_format.to_owned(),
            continues: item.continues,
            tag: share.fit(item.tag),
            round: item.round,
            state: match &item.state {
                ItemState::Running => wit::ItemState::Running,
                ItemState::Settled(told) => wit::ItemState::Settled(told.fit(share)),
                ItemState::Cancelled(_) => wit::ItemState::Cancelled,
            },
            facts: Vec::new(),
        });
        Seen {
            items: items.collect(),
            agents: self.agents.iter().map(|agent| share.agent(agent)).collect(),
            aggregator: self.aggregator.map(str::to_owned),
            caller: share.fit_optional(self.caller),
            goal: share.fit_optional(self.goal),
            granted: self.granted.clone(),
            left: self.left.clone(),
            facts: Vec::new(),
        }
    }

    fn problem(&self, decision: &Decision) -> Option<String> {
        match decision {
            Decision::Wait if self.items.iter().all(|item| item.state.told().is_some()) => {
                Some("it waits, and nothing runs".to_owned())
            }
            Decision::Ask(asks) if asks.is_empty() => Some("it asks nobody".to_owned()),
            Decision::Ask(asks) => {
                // A policy may ask for more than anybody may: each is looked at once.
                let mut continued = HashSet::new();
                asks.iter().find_map(|ask| {
                    self.problem_of_ask(ask).or_else(|| {
                        let conversation = ask.continues.map(|item| self.conversation(item));
                        let is_first = conversation.is_none_or(|one| continued.insert(one));
                        let problem = || "it continues one conversation twice at once".to_owned();
                        (!is_first).then(problem)
                    })
                })
            }
            Decision::Answer(Answer::Item(item)) => self.problem_of_reply(*item),
            Decision::Answer(Answer::Text(pieces)) => {
                self.problem_of_pieces(pieces).or_else(|| {
                    let is_blank = pieces::is_blank(pieces, |number| self.text(number));
                    is_blank.then(|| "it answers, and has nothing to say".to_owned())
                })
            }
            Decision::Wait | Decision::GiveUp(_) => None,
        }
    }
}

impl Situation<'_> {
    fn problem_of_ask(&self, ask: &Ask) -> Option<String> {
        let agent = shown(&ask.agent, 40);
        if !self.agents.iter().any(|known| known.name == ask.agent) {
            let names: Vec<&str> = self.agents.iter().map(|agent| agent.name.as_str()).collect();
            return Some(format!(
                "it asks '{agent}', and may ask only: {}; `may_ask` in its entry adds others",
                shown(&names.join(", "), SAID)
            ));
        }
        if ask.task.trim().is_empty() {
            return Some(format!("it asks '{agent}' nothing: the task is blank"));
        }
        if !["text", "json"].contains(&ask.answer_format.as_str()) {
            let format = shown(&ask.answer_format, 40);
            return Some(format!("the answer format is '{format}', not text or json"));
        }
        if let Some(item) = ask.continues {
            if let Some(problem) = self.problem_of_reply(item) {
                return Some(problem);
            }
            if self.items.get(item as usize).is_some_and(|earlier| earlier.agent != ask.agent) {
                return Some(format!("it has '{agent}' continue another agent's conversation"));
            }
            let conversation = self.conversation(item);
            let goes_on = |(later, id): (&Item, u32)| {
                later.state.told().is_none() && self.conversation(id) == conversation
            };
            if self.items.iter().zip(0..).any(goes_on) {
                return Some("it continues a conversation that goes on already".to_owned());
            }
        }
        self.problem_of_pieces(&ask.context)
    }

    /// The item with which the conversation of this one began. What an item continues came
    /// before it, so this has an end.
    fn conversation(&self, mut item: u32) -> u32 {
        while let Some(earlier) = self.items.get(item as usize).and_then(|item| item.continues) {
            item = earlier;
        }
        item
    }

    fn problem_of_pieces(&self, pieces: &[Piece]) -> Option<String> {
        pieces::named(pieces).find_map(|item| self.problem_of_reply(item))
    }

    fn problem_of_reply(&self, item: u32) -> Option<String> {
        match self.items.get(item as usize) {
            None => Some(format!("there is no item {item}")),
            Some(known) if known.state.told().is_none() => Some(format!("item {item} still runs")),
            Some(_) => None,
        }
    }
}

/// The kind itself.
pub(crate) struct Aggregate;

impl Kind for Aggregate {
    const NAME: &'static str = KIND;
    type Situation<'a> = Situation<'a>;
    type Seen = Seen;
    type Decision = Decision;

    fn step(call: &mut Call<'_>, seen: &Seen) -> Returned<Decision> {
        call.loaded.version.aggregate(call, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bindings::agent_dispatch::policy::types::Reply;
    use super::super::steps::Situation as _;
    use super::*;

    #[test]
    fn nobody_goes_on_with_a_conversation_that_goes_on() {
        let facts = Reply {
            success: true,
            text: String::new(),
            size: 0,
            complete: true,
            error_type: None,
            error: None,
            outcome: None,
            parsed: None,
            cost_usd: None,
            duration_ms: None,
            turns: None,
            facts: Vec::new(),
        };
        let item = |continues, running: bool| Item {
            agent: "one",
            task: "x",
            context: "",
            answer_format: "text",
            continues,
            tag: "",
            round: 0,
            state: if running {
                ItemState::Running
            } else {
                ItemState::Settled(Told { facts: facts.clone(), text: "" })
            },
        };
        let agent = Agent {
            name: "one".to_owned(),
            directory: String::new(),
            description: None,
            capabilities: Vec::new(),
            instructions: None,
            facts: Vec::new(),
        };
        let plenty =
            Allowance { rounds: 9, asks: 9, spend_usd: None, time_ms: None, facts: Vec::new() };
        // The first conversation goes on for a second time; the other one is free.
        let situation = Situation {
            items: vec![
                item(None, false),
                item(None, false),
                item(Some(0), false),
                item(Some(2), true),
            ],
            agents: &[agent],
            aggregator: None,
            caller: None,
            goal: None,
            granted: plenty.clone(),
            left: plenty,
        };
        let problem = |continues| {
            situation.problem(&Decision::Ask(vec![Ask {
                agent: "one".to_owned(),
                task: "x".to_owned(),
                context: Vec::new(),
                answer_format: "text".to_owned(),
                continues: Some(continues),
                tag: String::new(),
            }]))
        };
        let goes_on = Some("it continues a conversation that goes on already".to_owned());
        assert_eq!((problem(0), problem(2), problem(1)), (goes_on.clone(), goes_on, None));
    }
}
