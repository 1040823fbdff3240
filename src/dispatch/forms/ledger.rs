//! What an aggregation knows beyond its dispatches: whom its policy may ask, what it wrote on
//! what it asked, and what is left of what it may use up.

use super::members::{Member, Members};
use crate::config::AggregateSettings;
use crate::dispatch::prompt::told;
use crate::dispatch::reply::Reply;
use crate::dispatch::request::Request;
use crate::policy::aggregate::{Agent, Allowance, Item, ItemState, Situation};

/// What is known beyond the dispatches themselves.
pub(super) struct Ledger {
    pub(super) limits: Limits,
    /// One for each dispatch.
    pub(super) marks: Vec<Mark>,
    /// How often the policy has asked.
    pub(super) rounds: u32,
}

/// Who may be asked, and how much.
pub(super) struct Limits {
    pub(super) aggregator: Option<String>,
    pub(super) agents: Vec<Agent>,
    pub(super) bounds: AggregateSettings,
}

/// What a policy wrote on an item.
#[derive(Default)]
pub(super) struct Mark {
    pub(super) tag: String,
    pub(super) round: u32,
    pub(super) continues: Option<u32>,
}

impl Ledger {
    /// How much the policy has put together for those it asked, in bytes.
    pub(super) fn put_together(&self, members: &Members) -> usize {
        self.asked(members).map(|member| member.request.context.len()).sum()
    }

    /// What the policy has asked.
    fn asked<'a>(&'a self, members: &'a Members) -> impl Iterator<Item = &'a Member> + Clone {
        let of_policy = members.all().iter().zip(&self.marks).filter(|(_, mark)| mark.round > 0);
        of_policy.map(|(member, _)| member)
    }

    /// All that has happened so far, as the policy sees it.
    pub(super) fn situation<'a>(&'a self, members: &'a Members) -> Situation<'a> {
        let all = members.all();
        let items = all.iter().zip(&self.marks).map(|(member, mark)| Item {
            agent: &member.request.agent,
            task: &member.request.task,
            // What the policy gave along it wrote itself.
            context: if mark.round == 0 { &member.request.context } else { "" },
            answer_format: member.request.answer_format(),
            continues: mark.continues,
            tag: &mark.tag,
            round: mark.round,
            state: match &member.reply {
                None => ItemState::Running,
                Some(reply) if member.given_up => ItemState::Cancelled(told(reply)),
                Some(reply) => ItemState::Settled(told(reply)),
            },
        });
        let asked = self.asked(members);
        // What runs may cost as much as it was allowed to, and what told no cost may have.
        let spent: f64 = asked
            .clone()
            .filter_map(|member| match &member.reply {
                Some(reply) if !reply.was_run() => None,
                Some(Reply { cost_usd: Some(cost), .. }) => Some(*cost),
                _ => member.request.spend_cap,
            })
            .sum();
        let granted = Allowance {
            rounds: self.limits.bounds.max_rounds,
            asks: self.limits.bounds.max_asks,
            spend_usd: self.limits.bounds.budget_usd,
            time_ms: None,
            facts: Vec::new(),
        };
        let asks = u32::try_from(asked.count()).unwrap_or(u32::MAX);
        let left = Allowance {
            rounds: granted.rounds.saturating_sub(self.rounds),
            asks: granted.asks.saturating_sub(asks),
            spend_usd: granted.spend_usd.map(|usd| (usd - spent).max(0.0)),
            ..granted.clone()
        };
        Situation {
            items: items.collect(),
            agents: &self.limits.agents,
            aggregator: self.limits.aggregator.as_deref(),
            caller: common(all, &self.marks, |request| &request.caller),
            goal: common(all, &self.marks, |request| &request.goal),
            granted,
            left,
        }
    }
}

/// What all of the caller's requests have in common.
fn common<'a>(
    all: &'a [Member],
    marks: &[Mark],
    text: impl Fn(&'a Request) -> &'a str,
) -> Option<&'a str> {
    let of_caller = all.iter().zip(marks).filter(|(_, mark)| mark.round == 0);
    let mut texts = of_caller.map(|(member, _)| text(&member.request));
    let first = texts.next().filter(|text| !text.is_empty())?;
    texts.all(|text| text == first).then_some(first)
}
