//! Two agents take turns: the policy says who is told what, and when it is over.

use std::sync::Arc;

use serde::Serialize;

use super::decider::{self, Decider};
use crate::agent::{ErrorType, Failure};
use crate::dispatch::choice::{self, how_to_choose};
use crate::dispatch::listener::Listener;
use crate::dispatch::prompt::{shown_agent, told};
use crate::dispatch::reply::{Excerpt, Refusal, Reply, shown_usd};
use crate::dispatch::request::{Conversation, Form, Request};
use crate::dispatch::{Dispatcher, NO_AGENT, listing, plan};
use crate::policy::dialogue::{self as policy, Agent, Allowance, Decision, Side, Situation, Speak};
use crate::policy::{Kind as _, PolicyError, Stepper};

/// How many rounds a dialogue may have, and has where nobody says.
const ROUNDS: (u32, u32) = (1, 10);
const DEFAULT_ROUNDS: u32 = 3;

/// How much of the topic stands as the goal in each prompt, in characters.
const GOAL: usize = 200;

const SIDES: [Side; 2] = [Side::Responder, Side::Requester];

/// A dialogue, as the caller wants it.
#[derive(Debug, Clone, Default)]
pub struct Dialogue {
    /// The agent with the problem.
    pub requester: String,
    /// The agent that is asked for help, and speaks first.
    pub responder: String,
    /// What it is about.
    pub topic: String,
    /// How many turns each side may have, from 1 to 10.
    pub max_rounds: Option<u32>,
    /// The policy that decides, by name; absent it is what the config says.
    pub policy: Option<String>,
}

/// What came of a dialogue. The keys are those of the Python tool, and then its own.
#[derive(Debug, Clone, Serialize)]
pub struct DialogueReply {
    /// True when the policy saw it resolved.
    pub resolved: bool,
    /// How many turns the side had that had most.
    pub rounds: u32,
    /// What all turns cost together, in US dollars.
    pub total_cost_usd: f64,
    /// How long all turns took together, in milliseconds.
    pub total_duration_ms: u64,
    /// What resolved it; else the best there is, as a rule the responder's last word.
    pub final_answer: Arc<String>,
    /// All turns, oldest first.
    pub conversation: Vec<Spoken>,
    /// Why it ended without being resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What went wrong, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What went wrong, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<ErrorType>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The policy that decided.
    pub policy: String,
    /// Why the built-in policy took over from the chosen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_fallback: Option<String>,
    /// Why the journal misses dispatches. Told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_error: Option<String>,
    /// What of the final answer is left out here, and how to get it.
    #[serde(flatten)]
    pub(in crate::dispatch) excerpt: Option<Excerpt>,
    /// The reply in which the final answer is kept.
    #[serde(skip)]
    pub(in crate::dispatch) whole: Reply,
}

/// One turn of a dialogue.
#[derive(Debug, Clone, Serialize)]
pub struct Spoken {
    /// Who spoke.
    pub agent: String,
    /// `responder` or `requester`.
    pub role: &'static str,
    /// 1 for the first turn of each side, and so on.
    pub round: u32,
    /// What it said.
    pub message: Arc<String>,
    /// What the turn cost, in US dollars; null where nobody knows.
    pub cost_usd: Option<f64>,
    /// The session with which the agent's side can go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Why it failed, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it failed, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<ErrorType>,
    /// What of the message is left out here, and how to get it.
    #[serde(flatten)]
    pub(in crate::dispatch) excerpt: Option<Excerpt>,
    /// The reply that it is.
    #[serde(skip)]
    pub(in crate::dispatch) whole: Reply,
}

/// A dialogue so far.
struct Talk {
    topic: String,
    requester: Agent,
    responder: Agent,
    max_rounds: u32,
    /// The trace of all its turns.
    trace: String,
    turns: Vec<Turn>,
}

struct Turn {
    side: Side,
    round: u32,
    message: String,
    tag: String,
    reply: Reply,
}

/// How a dialogue came to its end.
struct End {
    resolved: bool,
    /// The responder's last word where it is absent.
    answer: Option<String>,
    reason: Option<String>,
    failure: Option<Failure>,
}

impl Dispatcher {
    /// Has two agents talk until the policy says that it is over. Dropping the future ends
    /// it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no such agent or policy: then nobody was asked anything.
    pub async fn dialogue(
        self: &Arc<Self>,
        call: Dialogue,
        listener: &Listener,
    ) -> Result<DialogueReply, Refusal> {
        let this = Arc::clone(self);
        let checked = self.look(NO_AGENT, move || {
            let config = this.load()?;
            if call.topic.trim().is_empty() {
                return Err(Refusal::new("the topic is blank: say what the dialogue is about"));
            }
            plan::refuse_blocked(&config)?;
            let agent = |role: &str, name: &str| match listing::find(&config, name) {
                Ok(agent) => Ok(shown_agent(agent)),
                Err(refusal) => Err(refusal.about(role)),
            };
            let requester = agent("requester", &call.requester)?;
            let responder = agent("responder", &call.responder)?;
            let name = call.policy.as_deref().unwrap_or(&config.settings.policies.dialogue);
            let chosen = choice::chosen(&config, policy::Dialogue::NAME, name)?;
            let record = config.settings.record_policies;
            Ok((call, requester, responder, chosen, record))
        });
        let (call, requester, responder, chosen, record) = checked.await?;
        let trace = self.lineage.trace();
        let agents = [requester.name.as_str(), responder.name.as_str()];
        let witness = self.recorder(record, agents, &trace);
        let mut decider = Decider::load(&self.policies, chosen, witness)
            .await
            .map_err(decider::refused::<policy::Dialogue>)?;
        let (least, most) = ROUNDS;
        let mut talk = Talk {
            topic: call.topic,
            requester,
            responder,
            max_rounds: call.max_rounds.unwrap_or(DEFAULT_ROUNDS).clamp(least, most),
            trace,
            turns: Vec::new(),
        };
        // Nothing is spent before the policy has made its first decision.
        let first =
            decider.step(&talk.situation()).await.map_err(decider::refused::<policy::Dialogue>)?;
        let end = self.talk(&mut talk, &mut decider, first, listener).await;
        Ok(talk.reply(end, &decider))
    }

    async fn talk(
        self: &Arc<Self>,
        talk: &mut Talk,
        decider: &mut Decider<policy::Dialogue>,
        mut decision: Decision,
        listener: &Listener,
    ) -> End {
        loop {
            let Speak { to, message, tag } = match talk.what_follows(&decider.policy, decision) {
                Ok(speak) => speak,
                Err(end) => return end,
            };
            let round = talk.rounds_of(to) + 1;
            if round > talk.max_rounds {
                let reason = format!("not resolved within max_rounds = {}", talk.max_rounds);
                return End::unresolved(reason);
            }
            let message = match decider.policy.join(&talk.situation(), &message, 0) {
                Ok(message) => message,
                Err(error) => return End::policy_failed(&error),
            };
            let request = talk.request(to, &message);
            let agent = request.agent.clone();
            let reply = self.dispatch(request, &listener.of(talk.turns.len())).await;
            let reply = reply.unwrap_or_else(|refusal| Reply::refused(&agent, &refusal));
            talk.turns.push(Turn { side: to, round, message, tag, reply });
            if let Some(end) = talk.failed() {
                return end;
            }
            decision = match decider.step(&talk.situation()).await {
                Ok(decision) => decision,
                Err(error) => return End::policy_failed(&error),
            };
        }
    }
}

impl Talk {
    /// All that has been said so far, as the policy sees it.
    fn situation(&self) -> Situation<'_> {
        let turns = self.turns.iter().map(|turn| policy::Turn {
            side: turn.side,
            round: turn.round,
            message: &turn.message,
            tag: &turn.tag,
            reply: told(&turn.reply),
        });
        // A round is over when both have had their turn.
        let rounds = SIDES.into_iter().map(|side| self.rounds_of(side)).min().unwrap_or_default();
        let turns_so_far = u32::try_from(self.turns.len()).unwrap_or(u32::MAX);
        let granted = Allowance {
            rounds: self.max_rounds,
            asks: 2 * self.max_rounds,
            spend_usd: None,
            time_ms: None,
            facts: Vec::new(),
        };
        let left = Allowance {
            rounds: granted.rounds.saturating_sub(rounds),
            asks: granted.asks.saturating_sub(turns_so_far),
            ..granted.clone()
        };
        Situation {
            topic: &self.topic,
            requester: &self.requester,
            responder: &self.responder,
            turns: turns.collect(),
            granted,
            left,
        }
    }

    /// Whom to speak to, or how it ends.
    fn what_follows(
        &self,
        policy: &Stepper<policy::Dialogue>,
        decision: Decision,
    ) -> Result<Speak, End> {
        let join = |pieces: &[_]| policy.join(&self.situation(), pieces, 0);
        let end = match decision {
            Decision::Speak(speak) => return Ok(speak),
            Decision::Resolved(answer) => join(&answer).map(End::resolved),
            Decision::Stop(stop) => {
                let answer = stop.answer.map(|answer| join(&answer)).transpose();
                let reason = decider::reason(&stop.reason);
                answer.map(|answer| End { answer, ..End::unresolved(reason) })
            }
        };
        Err(end.unwrap_or_else(|error| End::policy_failed(&error)))
    }

    fn request(&self, to: Side, message: &str) -> Request {
        let (agent, caller) = match to {
            Side::Requester => (&self.requester.name, &self.responder.name),
            Side::Responder => (&self.responder.name, &self.requester.name),
        };
        let earlier = self.turns.iter().rev().find(|turn| turn.side == to);
        let session = earlier.and_then(|turn| turn.reply.session_id.clone());
        Request {
            agent: agent.clone(),
            task: message.to_owned(),
            caller: caller.clone(),
            goal: self.topic.chars().take(GOAL).collect(),
            conversation: session.map_or(Conversation::New, Conversation::Resume),
            form: Form::Dialogue,
            trace: Some(self.trace.clone()),
            ..Request::default()
        }
    }

    fn rounds_of(&self, side: Side) -> u32 {
        let count = self.turns.iter().filter(|turn| turn.side == side).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The end of a dialogue whose last turn failed.
    fn failed(&self) -> Option<End> {
        let Turn { reply, .. } = self.turns.last()?;
        let (error, error_type) = (reply.error.as_ref()?, reply.error_type?);
        let message = format!("the turn of '{}' failed: {error}", reply.agent);
        let failure = Failure { error_type, message, hint: reply.hint.clone() };
        Some(End { failure: Some(failure), ..End::unresolved("a turn failed".to_owned()) })
    }

    fn last_word(&self) -> String {
        let mut answers = self.turns.iter().rev().filter(|turn| turn.side == Side::Responder);
        let said = answers.find(|turn| !turn.reply.result.trim().is_empty());
        said.map(|turn| turn.reply.result.trim().to_owned()).unwrap_or_default()
    }

    fn reply(self, end: End, decider: &Decider<policy::Dialogue>) -> DialogueReply {
        let End { resolved, answer, reason, failure } = end;
        let answer = answer.filter(|answer| !answer.trim().is_empty());
        let final_answer = Arc::new(answer.unwrap_or_else(|| self.last_word()));
        let (error, error_type, hint) = match failure {
            Some(Failure { error_type, message, hint }) => (Some(message), Some(error_type), hint),
            None => (None, None, None),
        };
        let replies = || self.turns.iter().map(|turn| &turn.reply);
        DialogueReply {
            resolved,
            rounds: SIDES.into_iter().map(|side| self.rounds_of(side)).max().unwrap_or_default(),
            total_cost_usd: shown_usd(replies().filter_map(|reply| reply.cost_usd).sum()),
            total_duration_ms: replies().filter_map(|reply| reply.duration_ms).sum(),
            whole: Reply::made(&self.responder.name, &final_answer),
            final_answer,
            excerpt: None,
            policy_fallback: decider.fallback(),
            store_error: replies().find_map(|reply| reply.store_error.clone()),
            policy: decider.name.clone(),
            conversation: self.turns.into_iter().map(Spoken::of).collect(),
            reason,
            error,
            error_type,
            hint,
        }
    }
}

impl Spoken {
    fn of(Turn { side, round, reply, .. }: Turn) -> Self {
        Self {
            whole: reply.clone(),
            excerpt: None,
            agent: reply.agent,
            role: match side {
                Side::Requester => "requester",
                Side::Responder => "responder",
            },
            round,
            message: reply.result,
            cost_usd: reply.cost_usd,
            session_id: reply.session_id,
            error: reply.error,
            error_type: reply.error_type,
        }
    }
}

impl End {
    fn resolved(answer: String) -> Self {
        Self { resolved: true, answer: Some(answer), reason: None, failure: None }
    }

    fn unresolved(reason: String) -> Self {
        Self { resolved: false, answer: None, reason: Some(reason), failure: None }
    }

    fn policy_failed(error: &PolicyError) -> Self {
        let failure = Failure::new(ErrorType::Policy, error.to_string());
        let failure = failure.hint(how_to_choose(policy::Dialogue::NAME));
        Self { failure: Some(failure), ..Self::unresolved("its policy failed".to_owned()) }
    }
}
