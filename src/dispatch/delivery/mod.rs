//! What goes out to a client that is a language model: no more than it can take at once. The
//! rest is kept, and fetched where it is wanted.
//!
//! - `answers`: what goes out, and where in it something long can stand
//! - `shorten`: what of that is cut, and `text` how
//! - `fetch`: how it is fetched
//!
//! Nothing in the core sees a reply that was cut: it is the last thing that happens.

mod answers;
mod fetch;
mod shorten;
mod text;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::forms::{DialogueReply, ParallelReply};
use super::reply::Reply;
use super::{Dispatcher, Job};
use crate::config::Settings;
use crate::lock::lock;
use crate::store::replies;

pub use answers::{Delivered, Reference};
pub use fetch::{Fetch, Fetched, Page};

use answers::Answer;
use shorten::{Shortened, shorten};

/// How long a caller waits until replies are kept, and how much longer for each MiB of them:
/// a disk that takes longer is none to wait for.
const PATIENCE: Duration = Duration::from_millis(250);
const FOR_A_MIB: Duration = Duration::from_millis(10);

/// How one reply is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GivenAs {
    /// Itself, as much of it as fits.
    #[default]
    Reply,
    /// A reference to it, with so many characters of its text.
    Reference(usize),
}

impl Delivered {
    /// A reply as it is wanted. Where it was never run, or is not kept, it is itself; what is
    /// wrong with the store is said in the first.
    fn of(mut reply: Reply, wanted: GivenAs, is_kept: &mut Result<(), Option<String>>) -> Self {
        match (wanted, reply.run.clone(), is_kept) {
            (GivenAs::Reference(summary_chars), Some(id), Ok(())) => {
                Self::Reference(Box::new(Reference::to(reply, id, summary_chars)))
            }
            (GivenAs::Reference(_), Some(_), Err(trouble)) => {
                reply.store_error = reply.store_error.or(trouble.take());
                Self::Reply(Box::new(reply))
            }
            _ => Self::Reply(Box::new(reply)),
        }
    }
}

impl Dispatcher {
    /// A reply as it goes out.
    pub async fn deliver(self: &Arc<Self>, reply: Reply, wanted: GivenAs) -> Delivered {
        let is_kept = match wanted {
            GivenAs::Reply => Ok(()),
            GivenAs::Reference(_) => self.keep(vec![reply.clone()]).await,
        };
        self.fit(Delivered::of(reply, wanted, &mut { is_kept })).await
    }

    /// A job as it goes out.
    pub async fn deliver_job(self: &Arc<Self>, job: Job) -> Job {
        self.fit(job).await
    }

    /// Several as they go out, each as it is wanted.
    pub async fn deliver_all(
        self: &Arc<Self>,
        reply: ParallelReply,
        wanted: &[GivenAs],
    ) -> ParallelReply<Delivered> {
        let (replies, aggregated) = match reply {
            ParallelReply::Individual(replies) => (replies, None),
            ParallelReply::Aggregated { individual_results, aggregated } => {
                (individual_results, Some(aggregated))
            }
        };
        let wanted = wanted.iter().copied().chain(std::iter::repeat(GivenAs::default()));
        let wanted: Vec<_> = replies.into_iter().zip(wanted).collect();
        let referred = wanted.iter().filter(|(_, wanted)| *wanted != GivenAs::Reply);
        let mut are_kept = self.keep(referred.map(|(reply, _)| reply.clone()).collect()).await;
        let delivered =
            wanted.into_iter().map(|(reply, wanted)| Delivered::of(reply, wanted, &mut are_kept));
        let individual_results = delivered.collect();
        self.fit(match aggregated {
            None => ParallelReply::Individual(individual_results),
            Some(aggregated) => ParallelReply::Aggregated { individual_results, aggregated },
        })
        .await
    }

    /// A dialogue as it goes out.
    pub async fn deliver_dialogue(self: &Arc<Self>, reply: DialogueReply) -> DialogueReply {
        self.fit(reply).await
    }

    /// Makes an answer short enough. What is cut of it is there to be fetched; where it cannot
    /// be kept nothing is cut.
    async fn fit<T: Answer>(&self, mut whole: T) -> T {
        let limit = self.latest_settings(|settings| settings.inline_limit) as usize;
        if limit == 0 {
            return whole;
        }
        let Some(Shortened { answer, cut }) = shorten(&whole, limit) else { return whole };
        match self.keep(cut).await {
            Ok(()) => answer,
            Err(trouble) => {
                if let Some(place) = whole.store_error() {
                    *place = place.take().or(trouble);
                }
                whole
            }
        }
    }

    /// Keeps replies to be fetched, all or none, and waits for that. Where it fails, what is
    /// wrong with the store, if that was not told yet.
    async fn keep(&self, replies: Vec<Reply>) -> Result<(), Option<String>> {
        let mut known = HashSet::new();
        let replies: Vec<(String, Reply)> = replies
            .into_iter()
            .filter_map(|reply| Some((reply.run.clone()?, reply.as_first_given())))
            .filter(|(id, _)| known.insert(id.clone()))
            .collect();
        if replies.is_empty() {
            return Ok(());
        }
        let came = replies.len();
        let bytes = replies.iter().map(|(_, reply)| reply.result.len()).sum();
        let write = self.journal.store.change(patience(bytes), move |connection| {
            let kept = replies.into_iter().map(|(id, reply)| (id, reply.agent.clone(), reply));
            replies::keep_all(connection, kept)
        });
        // An ending process has no time for it.
        match self.ending.run_until_cancelled(write).await {
            None => Err(None),
            Some(Err(error)) => Err(self.journal.tell(|| {
                format!("Long replies are not kept for fetch_result and come whole: {error}")
            })),
            Some(Ok(())) => {
                let days = self.latest_settings(|settings| settings.job_retention_days);
                let days = (days > 0).then_some(days);
                self.journal
                    .store
                    .post(move |connection| replies::forget_old(connection, days, came));
                Ok(())
            }
        }
    }

    /// Something of the settings that were read last: the call has just read them.
    fn latest_settings<T>(&self, of: impl Fn(&Settings) -> T) -> T {
        let latest = lock(&self.latest).clone();
        latest.map_or_else(|| of(&Settings::default()), |config| of(&config.settings))
    }
}

/// How long is waited until so many bytes are kept.
fn patience(bytes: usize) -> Duration {
    PATIENCE + FOR_A_MIB.saturating_mul(u32::try_from(bytes >> 20).unwrap_or(u32::MAX))
}
