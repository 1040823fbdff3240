//! A host for aggregates: it does what the policy decides, and nothing else.

use super::bindings::exports::agent_dispatch::policy::aggregate::{
    Answer, Ask, Decision, Item, ItemState, Piece, Situation, Span,
};
use super::types::Reply;
use super::{agent, allowance, instance};

/// How many bytes of a reply a policy gets to see here.
const INPUT_LIMIT: usize = 4000;

/// What a host keeps of one call, and what it does with a decision.
pub(crate) struct Call {
    config: &'static str,
    pub(crate) situation: Situation,
    /// The items' replies, uncut.
    texts: Vec<String>,
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
            texts: vec![],
        };
        for name in agents {
            call.start(name, "Which port?", None, None, "", 0);
        }
        call
    }

    fn start(
        &mut self,
        agent: &str,
        task: &str,
        context: Option<String>,
        continues: Option<u32>,
        tag: &str,
        round: u32,
    ) -> u32 {
        let id = u32::try_from(self.situation.items.len()).unwrap();
        self.situation.items.push(Item {
            id,
            agent: agent.into(),
            task: task.into(),
            context,
            continues,
            tag: tag.into(),
            round,
            state: ItemState::Running,
            facts: vec![],
        });
        self.texts.push(String::new());
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
                let ids: Vec<u32> = asks.iter().map(|ask| self.ask(ask, round)).collect();
                Next::Asks(ids.into_iter().zip(asks).collect())
            }
            Decision::Answer(answer) => {
                self.cancel_running();
                Next::Answer(match answer {
                    Answer::Text(text) => text,
                    Answer::Item(id) => match &self.item(id).state {
                        ItemState::Settled(_) => self.texts[id as usize].clone(),
                        state => panic!("answered with an item that is {state:?}"),
                    },
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
        let context: String = ask.context.iter().map(|piece| self.read(piece)).collect();
        let context = Some(context).filter(|context| !context.is_empty());
        self.start(&ask.agent, &ask.task, context, ask.continues, &ask.tag, round)
    }

    fn read<'a>(&'a self, piece: &'a Piece) -> &'a str {
        match piece {
            Piece::Text(text) => text,
            Piece::Reply(Span { item, start, end }) => {
                assert!(matches!(self.item(*item).state, ItemState::Settled(_)), "{piece:?}");
                let text = &self.texts[*item as usize];
                let bound = |at: &u64| text.floor_char_boundary(usize::try_from(*at).unwrap());
                &text[bound(start)..bound(end)]
            }
        }
    }

    /// The item ends in this way; then the policy is asked again.
    pub(crate) fn settle(&mut self, id: u32, mut reply: Reply) -> Next {
        if reply.text.len() > INPUT_LIMIT {
            reply.complete = false;
            let cut = cut(&reply.text);
            self.texts[id as usize] = std::mem::replace(&mut reply.text, cut);
        } else {
            self.texts[id as usize].clone_from(&reply.text);
        }
        let item = &mut self.situation.items[id as usize];
        assert_eq!(item.state, ItemState::Running);
        item.state = ItemState::Settled(reply);
        self.step()
    }

    pub(crate) fn item(&self, id: u32) -> &Item {
        self.situation.items.iter().find(|item| item.id == id).unwrap()
    }

    /// What an item was given to read.
    pub(crate) fn context(&self, id: u32) -> &str {
        self.item(id).context.as_deref().unwrap_or_default()
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

/// The head and the tail of `text`, and a line between them that says what is missing.
fn cut(text: &str) -> String {
    let head = text.floor_char_boundary(INPUT_LIMIT / 2);
    let tail = text.ceil_char_boundary(text.len() - INPUT_LIMIT / 2);
    format!("{}\n[{} bytes are missing]\n{}", &text[..head], tail - head, &text[tail..])
}
