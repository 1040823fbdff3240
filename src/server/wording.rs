//! What a waiting client is told, in each form of a dispatch.

use super::progress::Notice;
use crate::dispatch::{Heard, News, Reply, summary};
use crate::one_line::one_line;

/// How much of an answer is told, in characters.
const ANSWER: usize = 300;

/// The words of one call.
pub(super) enum Wording {
    /// One agent: how far it is.
    Dispatch,
    /// One agent: also what it does.
    Stream,
    /// Several at once: which of them are done.
    Parallel(Counts),
    /// Two who take turns: who is asked, and what was said.
    Dialogue,
    /// A job elsewhere: that it goes on.
    Job,
}

/// How far several dispatches are.
#[derive(Default)]
pub(super) struct Counts {
    /// How many the caller asked for; what comes on top is the policy's.
    asked: usize,
    all: usize,
    done: usize,
}

impl Wording {
    /// The words for so many dispatches at once.
    pub(super) fn parallel(asked: usize) -> Self {
        Self::Parallel(Counts { asked, all: asked, done: 0 })
    }

    /// What is said while nothing has happened.
    pub(super) fn beginning(&self) -> &'static str {
        match self {
            Self::Job => "the job is not over",
            _ => "no agent runs yet",
        }
    }

    pub(super) fn notice(&mut self, heard: Heard<'_>) -> Option<Notice> {
        match self {
            Self::Dispatch | Self::Stream => {
                let events = matches!(self, Self::Stream);
                one_agent(heard).or_else(|| event(heard).filter(|_| events))
            }
            Self::Parallel(counts) => counts.notice(heard),
            Self::Dialogue => dialogue(heard),
            Self::Job => None,
        }
    }
}

fn one_agent(Heard { agent, news, .. }: Heard<'_>) -> Option<Notice> {
    match news {
        News::Running => Some(Notice::Status(format!("'{agent}' works"))),
        News::Waiting | News::Event(_) | News::Ended(_) => None,
    }
}

fn event(Heard { agent, news, .. }: Heard<'_>) -> Option<Notice> {
    let News::Event(event) = news else { return None };
    Some(Notice::Event(format!("{agent} {}", summary(event)?)))
}

impl Counts {
    fn notice(&mut self, Heard { number, agent, news }: Heard<'_>) -> Option<Notice> {
        let is_policys = number >= self.asked;
        let what = match news {
            News::Waiting if is_policys => {
                self.all += 1;
                format!("the policy asks '{agent}'")
            }
            News::Running => format!("'{agent}' works"),
            News::Ended(reply) => {
                self.done += 1;
                format!("'{agent}' {}", ending(reply))
            }
            News::Waiting | News::Event(_) => return None,
        };
        Some(Notice::Status(format!("{} of {} done, {what}", self.done, self.all)))
    }
}

fn ending(reply: &Reply) -> String {
    match reply.error_type {
        None => "has answered".to_owned(),
        Some(error_type) => format!("has failed ({error_type})"),
    }
}

fn dialogue(Heard { number, agent, news }: Heard<'_>) -> Option<Notice> {
    let turn = number + 1;
    match news {
        News::Running => Some(Notice::Status(format!("turn {turn}: '{agent}' works"))),
        News::Ended(reply) if reply.success => {
            let said = one_line(reply.result.trim(), ANSWER);
            Some(Notice::Event(format!("turn {turn}: '{agent}' says: {said}")))
        }
        News::Ended(reply) => {
            Some(Notice::Event(format!("turn {turn}: '{agent}' {}", ending(reply))))
        }
        News::Waiting | News::Event(_) => None,
    }
}
