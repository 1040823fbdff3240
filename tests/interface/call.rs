//! A host for aggregates: it does what the policy decides, and nothing else.

use super::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Item, ItemState, Situation,
};
use super::types::{PolicyError, Reply};
use super::{Texts, agent, aggregate_policy, allowance, seen};

/// A policy as it is chosen: its component and its config.
#[derive(Clone, Copy)]
pub(crate) struct Policy(pub(crate) &'static str, pub(crate) &'static str);

impl Policy {
    fn decide(self, situation: &Situation) -> Decision {
        let (mut store, policy) = aggregate_policy(self.0);
        let policy = policy.agent_dispatch_policy_aggregate();
        policy.call_step(&mut store, self.1, situation).unwrap().unwrap()
    }

    /// Is the config usable?
    pub(crate) fn check(self) -> Result<(), PolicyError> {
        let (mut store, policy) = aggregate_policy(self.0);
        policy.agent_dispatch_policy_aggregate().call_check(&mut store, self.1).unwrap()
    }
}

/// What a host keeps of one call, and what it does with a decision.
pub(crate) struct Call {
    policy: Policy,
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

impl Next {
    /// What was asked.
    pub(crate) fn asked(self) -> Vec<(u32, Ask)> {
        match self {
            Self::Asks(asks) => asks,
            other => panic!("nothing was asked: {other:?}"),
        }
    }

    /// The one thing that was asked.
    pub(crate) fn asked_one(self) -> (u32, Ask) {
        let mut asks = self.asked();
        assert_eq!(asks.len(), 1, "{asks:?}");
        asks.remove(0)
    }

    /// Why it gave up.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::GivesUp(reason) => reason,
            other => panic!("it did not give up: {other:?}"),
        }
    }
}

impl Call {
    /// One running item for each agent, with the same task; `chief` aggregates.
    pub(crate) fn new(policy: Policy, agents: &[&str]) -> Self {
        let mut call = Self {
            policy,
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
        match self.policy.decide(&self.situation) {
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
        self.end(id, reply);
        self.step()
    }

    /// The item ends in this way, and the policy learns of it with its next call.
    pub(crate) fn end(&mut self, id: u32, reply: Reply) {
        self.texts.0[id as usize] = Some(reply.text.clone());
        let item = &mut self.situation.items[id as usize];
        assert_eq!(item.state, ItemState::Running);
        item.state = ItemState::Settled(seen(reply));
    }

    /// The item is ended by the host, and the policy learns of it with its next call.
    pub(crate) fn cancel(&mut self, id: u32) {
        self.texts.0[id as usize] = Some(String::new());
        self.situation.items[id as usize].state = ItemState::Cancelled;
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
