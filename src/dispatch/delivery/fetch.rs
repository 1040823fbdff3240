//! Fetching a reply that is kept, in pages where it is long.

use std::sync::Arc;

use serde::Serialize;

use super::text::{json_length, part};
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::run_id::{self, DIGITS};
use crate::dispatch::{Dispatcher, Job, NO_AGENT};
use crate::store::replies;

/// How many bytes of a text are on a page at least, however small the limit.
const LEAST: usize = 4 << 10;

/// What a page's own keys take, in bytes of JSON, generously.
const OWN_KEYS: usize = 150;

/// What there is under a reference.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Fetched {
    /// A reply, or a page of it.
    Page(Box<Page>),
    /// A job that has no reply yet.
    Job(Box<Job>),
}

/// A reply that was kept, or a page of it.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    #[serde(flatten)]
    reply: Reply,
    /// There is more after this page.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    /// Of the whole result, in characters; absent where this is all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_size: Option<usize>,
    /// Where the next page begins, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    /// Of what the prompt policy found, where that is left out; in bytes of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed_result_size: Option<usize>,
}

/// Which part of a reply is wanted.
#[derive(Debug, Clone, Default)]
pub struct Fetch {
    /// The reference: the id of a run, also with an agent's name and `-` before it.
    pub reference: String,
    /// How many characters of the result at most; 0 is as many as an answer may have.
    pub max_chars: usize,
    /// How many characters of it are left out before them.
    pub offset: usize,
}

impl Dispatcher {
    /// Fetches a reply that was kept, whoever kept it, or the job that is to have it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is neither with this reference, or the store cannot be read.
    pub async fn fetch(self: &Arc<Self>, wanted: Fetch) -> Result<Fetched, Refusal> {
        let id = id(&wanted.reference)?;
        let this = Arc::clone(self);
        let limit = self.look(NO_AGENT, move || Ok(this.load()?.settings.inline_limit)).await?;
        let name = id.clone();
        let read = self.journal.read(move |connection| replies::read(connection, &name)).await;
        let kept = read.map_err(|error| {
            Refusal::new(format!("what is kept of replies cannot be read: {error}"))
        })?;
        let Some(kept) = kept else {
            let job = self.job_if_any(&id).await?;
            let job = job.ok_or_else(|| unknown(&wanted.reference))?;
            return Ok(Fetched::Job(Box::new(self.deliver_job(job).await)));
        };
        // A long one takes a while.
        let work = move || {
            let reply = serde_json::from_str(&kept.json).map_err(|error| {
                Refusal::new(format!("what is kept of {} is no reply: {error}", wanted.reference))
            })?;
            Ok(Fetched::Page(Box::new(page(reply, &wanted, limit as usize))))
        };
        self.look(NO_AGENT, work).await
    }
}

/// The id that a reference names.
fn id(reference: &str) -> Result<String, Refusal> {
    run_id::in_text(reference).ok_or_else(|| {
        let shown: String = reference.trim().chars().take(100).collect();
        Refusal::new(format!("{shown:?} is no ref: it has to be {DIGITS} hexadecimal digits"))
            .with_hint("Give the value of ref from a reply as it stands there, or the id of a job.")
    })
}

fn unknown(reference: &str) -> Refusal {
    Refusal::new(format!("no reply is kept under the ref {:?}", reference.trim())).with_hint(
        "Give the value of ref from a reply as it stands there. Old replies make room for new ones; settings.job_retention_days bounds their age too. Where it is gone the agent has to be asked again.",
    )
}

/// The part of a reply that is wanted, within a limit where there is one and no other bound.
fn page(mut reply: Reply, wanted: &Fetch, limit: usize) -> Page {
    let result = std::mem::take(&mut reply.result);
    let parsed = reply.parsed_result.take();
    let Fetch { max_chars, offset, .. } = *wanted;
    let room = limit.saturating_sub(json_length(&reply) + OWN_KEYS).max(LEAST);
    let (mut bytes, mut chars) = (0, 0);
    let part = part(&result, offset, |length| {
        bytes += length;
        chars += 1;
        if max_chars > 0 { chars <= max_chars } else { limit == 0 || bytes <= room }
    });
    let next = offset + part.length;
    let truncated = next < part.full;
    let is_whole = part.length == part.full;
    let (text, full) = (part.text.to_owned(), part.full);
    reply.result = Arc::new(text);
    let size = parsed.as_ref().map(json_length);
    let fits = |size| limit == 0 || json_length(&reply) + size + OWN_KEYS <= limit;
    if is_whole && size.is_some_and(fits) {
        reply.parsed_result = parsed;
    }
    Page {
        parsed_result_size: size.filter(|_| reply.parsed_result.is_none()),
        reply,
        truncated,
        full_size: (!is_whole).then_some(full),
        next_offset: truncated.then_some(next),
    }
}
