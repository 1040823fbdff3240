//! A host for aggregates: it does what the policy decides, and nothing else.

use super::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Item, ItemState, Situation,
};
use super::types::Reply;
use super::{Texts, agent, allowance, instance, seen};

/// What a host keeps of one call, and what it does with a decision.
pub(crate) struct Call {
    config: &'static str,
    pub(crate) situation: Situation,
    /// What the items were given to read.
    contexts: Vec<String>,
    texts: Texts,
}

/// What a decision led to.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Waits,
    /// These were asked: their numbers, and what was asked.
    Asks(Vec<(u32, Ask)>),
    /// This text is the answer.
    Answer(String),
    GivesUp(String),
}

impl Call {
    /// One running item for each agent, with the same task; `chief` aggregates.
    pub(crate) fn new(config: &'static str, agents: &[&str]) -> Self {
        let mut call = Self {
            config,
            situation: Situation {
                items: vec![],
                agents: agents.iter().chain(&["chief"]).map(|name| agent(name)).collect(),
                aggregator: Some("chief".into()),
                caller: None,
                goal: None,
                granted: allowance(),
                left: allowance(),
                facts: vec![],
            },
            contexts: vec![],
            texts: Texts::default(),
        };
        for name in agents {
            let ask = Ask {
                agent: (*name).into(),
                task: "Which port?".into(),
                context: vec![],
                answer_format: "text".into(),
                continues: None,
                tag: String::new(),
            };
            call.start(&ask, 0);
        }
        call
    }

    fn start(&mut self, ask: &Ask, round: u32) -> u32 {
        let id = u32::try_from(self.situation.items.len()).unwrap();
        self.contexts.push(self.texts.join(&ask.context));
        self.situation.items.push(Item {
            id,
            agent: ask.agent.clone(),
            task: ask.task.clone(),
            context: None,
            answer_format: ask.answer_format.clone(),
            continues: ask.continues,
            tag: ask.tag.clone(),
            round,
            state: ItemState::Running,
            facts: vec![],
        });
        self.texts.0.push(None);
        id
    }

    /// Asks the policy, and does what it says.
    pub(crate) fn step(&mut self) -> Next {
        let (mut store, policy) = instance();
        let policy = policy.agent_dispatch_policy_aggregate();
        match policy.call_step(&mut store, self.config, &self.situation).unwrap().unwrap() {
            Decision::Wait => {
                assert!(self.any_running(), "a wait that never ends");
                Next::Waits
            }
            Decision::Ask(asks) => {
                let round = self.situation.items.iter().map(|item| item.round).max().unwrap() + 1;
                assert!(!asks.is_empty(), "nobody is asked");
                self.situation.left.rounds = self.situation.left.rounds.checked_sub(1).unwrap();
                let ids: Vec<u32> = asks.iter().map(|ask| self.ask(ask, round)).collect();
                Next::Asks(ids.into_iter().zip(asks).collect())
            }
            Decision::Answer(answer) => {
                self.cancel_running();
                Next::Answer(match answer {
                    Answer::Text(pieces) => self.texts.join(&pieces),
                    Answer::Item(id) => self.texts.0[id as usize].clone().unwrap(),
                })
            }
            Decision::GiveUp(reason) => {
                self.cancel_running();
                Next::GivesUp(reason)
            }
        }
    }

    fn ask(&mut self, ask: &Ask, round: u32) -> u32 {
        assert!(self.situation.agents.iter().any(|agent| agent.name == ask.agent), "{ask:?}");
        self.situation.left.asks = self.situation.left.asks.checked_sub(1).unwrap();
        if let Some(earlier) = ask.continues {
            assert_eq!(self.item(earlier).agent, ask.agent, "another agent's conversation");
        }
        assert!(matches!(ask.answer_format.as_str(), "text" | "json"), "{ask:?}");
        self.start(ask, round)
    }

    /// The item ends in this way; then the policy is asked again.
    pub(crate) fn settle(&mut self, id: u32, reply: Reply) -> Next {
        self.texts.0[id as usize] = Some(reply.text.clone());
        let item = &mut self.situation.items[id as usize];
        assert_eq!(item.state, ItemState::Running);
        item.state = ItemState::Settled(seen(reply));
        self.step()
    }

    pub(crate) fn item(&self, id: u32) -> &Item {
        self.situation.items.iter().find(|item| item.id == id).unwrap()
    }

    /// What an item was given to read.
    pub(crate) fn context(&self, id: u32) -> &str {
        &self.contexts[id as usize]
    }

    fn any_running(&self) -> bool {
        self.situation.items.iter().any(|item| item.state == ItemState::Running)
    }

    fn cancel_running(&mut self) {
        for item in &mut self.situation.items {
            if item.state == ItemState::Running {
                item.state = ItemState::Cancelled;
            }
        }
    }
}
