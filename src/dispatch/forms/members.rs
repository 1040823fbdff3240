//! Dispatches of one call that go on side by side, each through the one pipeline.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::agent::Failure;
use crate::dispatch::Dispatcher;
use crate::dispatch::listener::Listener;
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::request::Request;

/// The dispatches of a call, in the order in which they were asked. Dropped, they are left:
/// what nobody else waits for is ended.
pub(super) struct Members {
    dispatcher: Arc<Dispatcher>,
    listener: Listener,
    all: Vec<Member>,
    running: JoinSet<(usize, Reply)>,
}

/// One of them.
pub(super) struct Member {
    pub(super) request: Request,
    /// What came of it.
    pub(super) reply: Option<Reply>,
    /// It was given up, by the call and not by its caller.
    pub(super) given_up: bool,
    give_up: CancellationToken,
}

impl Members {
    /// None yet.
    pub(super) fn new(dispatcher: &Arc<Dispatcher>, listener: Listener) -> Self {
        let (dispatcher, all, running) = (Arc::clone(dispatcher), Vec::new(), JoinSet::new());
        Self { dispatcher, listener, all, running }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Member] {
        &self.all
    }

    /// Adds one that is not started yet.
    pub(super) fn add(&mut self, request: Request) {
        let give_up = CancellationToken::new();
        self.all.push(Member { request, reply: None, given_up: false, give_up });
    }

    /// Starts all from this one on.
    pub(super) fn start(&mut self, first: usize) {
        for (number, member) in self.all.iter().enumerate().skip(first) {
            let (dispatcher, listener) = (Arc::clone(&self.dispatcher), self.listener.of(number));
            let (request, give_up) = (member.request.clone(), member.give_up.clone());
            self.running.spawn(async move {
                let agent = request.agent.clone();
                let reply = dispatcher.ask(request, &listener, &give_up).await;
                (number, reply.unwrap_or_else(|refusal| Reply::refused(&agent, &refusal)))
            });
        }
    }

    /// Waits until another one is over, and takes all that are.
    pub(super) async fn settle(&mut self) {
        let mut over = self.running.join_next().await;
        while let Some(ended) = over {
            match ended {
                Ok((number, reply)) => self.all[number].reply = Some(reply),
                Err(error) => tracing::error!("a dispatch was lost: {error}"),
            }
            over = self.running.try_join_next();
        }
        if self.running.is_empty() {
            for member in self.all.iter_mut().filter(|member| member.reply.is_none()) {
                let lost = Refusal::new("the dispatch was lost: its task failed");
                member.reply = Some(Reply::refused(&member.request.agent, &lost));
            }
        }
    }

    /// Gives up all that are not over.
    pub(super) fn give_up(&mut self) {
        for member in self.all.iter_mut().filter(|member| member.reply.is_none()) {
            member.given_up = true;
            member.give_up.cancel();
        }
    }

    /// Waits until all are over.
    pub(super) async fn finish(&mut self) {
        while !self.running.is_empty() {
            self.settle().await;
        }
    }

    /// What was asked and what came of it; what was never started was cancelled.
    pub(super) fn into_replies(self) -> Vec<(Request, Reply)> {
        let reply = |Member { request, reply, .. }: Member| {
            let cancelled = || Reply::not_run(&request.agent, Failure::cancelled_before_start());
            let reply = reply.unwrap_or_else(cancelled);
            (request, reply)
        };
        self.all.into_iter().map(reply).collect()
    }
}
