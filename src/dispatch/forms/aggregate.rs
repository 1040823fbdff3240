//! How many answers become one: the policy says what happens next, and the host does it,
//! within bounds.

use std::sync::Arc;

use super::aggregated::{Aggregated, Step};
use super::decider::{self, Decider};
use super::ledger::{Ledger, Limits, Mark};
use super::members::Members;
use super::parallel::{Parallel, ParallelReply};
use crate::agent::{ErrorType, Failure};
use crate::config::Config;
use crate::dispatch::choice::{self, Chosen, how_to_choose};
use crate::dispatch::prompt::shown_agent;
use crate::dispatch::reply::{Refusal, shown_usd};
use crate::dispatch::request::{Conversation, Form, Request};
use crate::dispatch::{Dispatcher, listing};
use crate::policy::aggregate::{Agent, Aggregate, Answer, Ask, Decision};
use crate::policy::{Kind as _, PolicyError};

/// Who asks on behalf of a policy, and what for, as agents have always read it.
const CALLER: &str = "dispatch_parallel";
const GOAL: &str = "aggregate parallel dispatch results";

/// An aggregation that is wanted, as far as the config tells.
pub(super) struct Wanted {
    chosen: Chosen,
    limits: Limits,
    /// What the policy decides is kept.
    record: bool,
}

/// An aggregation whose policy is loaded.
pub(super) struct Aggregation {
    dispatcher: Arc<Dispatcher>,
    decider: Decider<Aggregate>,
    ledger: Ledger,
}

/// How an aggregation came to its end.
enum End {
    /// With this item's reply.
    Item(usize),
    /// With this text.
    Text(String),
    /// The policy gave up.
    GaveUp(String),
    /// The policy wanted more of this than it may have.
    Stopped(&'static str),
    /// The policy failed.
    Failed(PolicyError),
    /// The process is to end.
    Cancelled,
}

impl Aggregation {
    /// The aggregation that a call wants, if any.
    pub(super) fn wanted(config: &Config, call: &Parallel) -> Result<Option<Wanted>, Refusal> {
        if call.aggregator.is_none() && call.policy.is_none() {
            return Ok(None);
        }
        if let Some(name) = &call.aggregator {
            listing::find(config, name).map_err(|refusal| refusal.about("aggregate"))?;
        }
        let policy = call.policy.as_deref().unwrap_or(&config.settings.policies.aggregate);
        let chosen = choice::chosen(config, Aggregate::NAME, policy)?;
        let mut agents: Vec<Agent> = Vec::new();
        let of_call = call.dispatches.iter().map(|request| &request.agent);
        let may_ask = choice::may_ask(config, policy);
        for name in of_call.chain(&call.aggregator).chain(may_ask) {
            if let Ok(agent) = config.agent(name)
                && !agents.iter().any(|known| known.name == agent.name)
            {
                agents.push(shown_agent(agent));
            }
        }
        let (aggregator, bounds) = (call.aggregator.clone(), config.settings.aggregate);
        let record = config.settings.record_policies;
        Ok(Some(Wanted { chosen, limits: Limits { aggregator, agents, bounds }, record }))
    }

    /// Loads the policy. Nothing is spent before its config is accepted.
    pub(super) async fn load(
        dispatcher: &Arc<Dispatcher>,
        wanted: Wanted,
        trace: &str,
    ) -> Result<Self, Refusal> {
        let Wanted { chosen, limits, record } = wanted;
        let agents = limits.agents.iter().map(|agent| agent.name.as_str());
        let witness = dispatcher.recorder(record, agents, trace);
        let decider = Decider::load(&dispatcher.policies, chosen, witness)
            .await
            .map_err(decider::refused::<Aggregate>)?;
        let ledger = Ledger { limits, marks: Vec::new(), rounds: 0 };
        Ok(Self { dispatcher: Arc::clone(dispatcher), decider, ledger })
    }

    /// Runs the call: asks the policy before its dispatches are started and whenever some
    /// have settled, and does what it says.
    pub(super) async fn run(mut self, mut members: Members) -> Result<ParallelReply, Refusal> {
        self.ledger.marks.resize_with(members.all().len(), Mark::default);
        let decision = match self.decide(&members).await {
            // Nothing was spent, so nothing is lost.
            Err(error) => return Err(decider::refused::<Aggregate>(error)),
            Ok(Decision::GiveUp(reason)) => {
                let (name, reason) = (&self.decider.name, decider::reason(&reason));
                let message = format!("the aggregate policy '{name}' cannot do this: {reason}");
                return Err(Refusal::new(message).with_hint("Nothing was run or spent."));
            }
            Ok(decision) => decision,
        };
        if !matches!(decision, Decision::Answer(_)) {
            members.start(0);
        }
        let end = self.steps(decision, &mut members).await;
        // Whoever was asked by the caller finishes, unless the policy has its answer.
        if matches!(end, End::Item(_) | End::Text(_) | End::GaveUp(_)) {
            members.give_up();
        }
        members.finish().await;
        Ok(self.reply(end, members))
    }

    async fn steps(&mut self, mut decision: Decision, members: &mut Members) -> End {
        loop {
            match decision {
                Decision::Wait => {}
                Decision::Ask(asks) => match self.ask(&asks, members) {
                    Ok(()) => {}
                    Err(end) => return end,
                },
                Decision::Answer(Answer::Item(item)) => return End::Item(item as usize),
                Decision::Answer(Answer::Text(pieces)) => {
                    let joined =
                        self.decider.policy.join(&self.ledger.situation(members), &pieces, 0);
                    return joined.map_or_else(End::Failed, End::Text);
                }
                Decision::GiveUp(reason) => return End::GaveUp(reason),
            }
            members.settle().await;
            if self.dispatcher.ending.is_cancelled() {
                return End::Cancelled;
            }
            decision = match self.decide(members).await {
                Ok(decision) => decision,
                Err(error) => return End::Failed(error),
            };
        }
    }

    async fn decide(&mut self, members: &Members) -> Result<Decision, PolicyError> {
        self.decider.step(&self.ledger.situation(members)).await
    }

    /// Asks what the policy wants, if it may.
    fn ask(&mut self, asks: &[Ask], members: &mut Members) -> Result<(), End> {
        let situation = self.ledger.situation(members);
        let left = &situation.left;
        if left.rounds == 0 {
            return Err(End::Stopped("rounds"));
        }
        if asks.len() > left.asks as usize {
            return Err(End::Stopped("asks"));
        }
        if left.spend_usd.is_some_and(|usd| usd <= 0.0) {
            return Err(End::Stopped("budget"));
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody asks that often")]
        let spend_cap = left.spend_usd.map(|usd| usd / asks.len() as f64);
        let mut put_together = self.ledger.put_together(members);
        let trace = members.all().first().and_then(|member| member.request.trace.as_ref());
        let request = |ask: &Ask| {
            let context = self.decider.policy.join(&situation, &ask.context, put_together)?;
            put_together += context.len();
            let earlier = ask.continues.and_then(|item| members.all().get(item as usize));
            let session = earlier.and_then(|member| member.reply.as_ref()?.session_id.clone());
            Ok(Request {
                agent: ask.agent.clone(),
                task: ask.task.clone(),
                context,
                caller: CALLER.to_owned(),
                goal: GOAL.to_owned(),
                conversation: session.map_or(Conversation::New, Conversation::Resume),
                json: ask.answer_format == "json",
                spend_cap,
                form: Form::Aggregate,
                trace: trace.cloned(),
                ..Request::default()
            })
        };
        let requests = asks.iter().map(request).collect::<Result<Vec<_>, _>>();
        let requests = requests.map_err(End::Failed)?;
        self.ledger.rounds += 1;
        let first = members.all().len();
        for (ask, request) in asks.iter().zip(requests) {
            members.add(request);
            let (tag, continues) = (ask.tag.clone(), ask.continues);
            self.ledger.marks.push(Mark { tag, round: self.ledger.rounds, continues });
        }
        members.start(first);
        Ok(())
    }

    fn reply(self, end: End, members: Members) -> ParallelReply {
        let mut aggregated = Aggregated {
            policy: self.decider.name.clone(),
            policy_fallback: self.decider.fallback(),
            ..Aggregated::default()
        };
        let mut asked = members.into_replies();
        match end {
            End::Item(item) => aggregated.take(&asked[item].1),
            End::Text(text) => aggregated.put_together(text),
            End::GaveUp(reason) => {
                let reason = decider::reason(&reason);
                aggregated.fail(ErrorType::Policy, format!("the policy gave up: {reason}"));
            }
            End::Stopped(what) => {
                let mut latest = asked.iter().zip(&self.ledger.marks).rev();
                match latest.find(|((_, reply), mark)| mark.round > 0 && reply.success) {
                    Some(((_, reply), _)) => aggregated.take(reply),
                    None => aggregated.fail(
                        ErrorType::Policy,
                        format!("the policy was stopped before it had an answer: it wanted more {what} than it may have"),
                    ),
                }
                aggregated.stopped = Some(what);
                let key =
                    if what == "budget" { "budget_usd".to_owned() } else { format!("max_{what}") };
                aggregated.hint =
                    Some(format!("settings.aggregate.{key} bounds what a policy may ask for."));
            }
            End::Failed(error) => {
                aggregated.fail(ErrorType::Policy, error.to_string());
                aggregated.hint = Some(how_to_choose(Aggregate::NAME));
            }
            End::Cancelled => {
                let Failure { error_type, message, .. } = Failure::cancelled();
                aggregated.fail(error_type, message);
            }
        }
        let of_caller = self.ledger.marks.iter().filter(|mark| mark.round == 0).count();
        let by_policy = asked.split_off(of_caller);
        let costs = || by_policy.iter().filter_map(|(_, reply)| reply.cost_usd);
        aggregated.cost_usd = costs().next().map(|_| shown_usd(costs().sum()));
        let marks = self.ledger.marks.into_iter().enumerate().skip(of_caller);
        let steps = marks.zip(by_policy).map(|((id, mark), (request, reply))| Step {
            id,
            round: mark.round,
            tag: mark.tag,
            task: request.task,
            reply,
        });
        aggregated.steps = steps.collect();
        ParallelReply::Aggregated {
            individual_results: asked.into_iter().map(|(_, reply)| reply).collect(),
            aggregated: Box::new(aggregated),
        }
    }
}
