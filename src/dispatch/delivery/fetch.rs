//! Fetching a reply that is kept, in pages where it is long.

use std::sync::Arc;

use serde::Serialize;

use super::text::{json_length, part};
use crate::dispatch::reply::{Refusal, Reply};
use crate::dispatch::{Dispatcher, NO_AGENT};
use crate::store::replies;

/// How many digits a reference has.
const DIGITS: usize = 32;

/// How many bytes of a text are on a page at least, however small the limit.
const LEAST: usize = 4 << 10;

/// What a page's own keys take, in bytes of JSON, generously.
const OWN_KEYS: usize = 150;

/// A reply that was kept, or a page of it.
#[derive(Debug, Clone, Serialize)]
pub struct Fetched {
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
    /// Fetches a reply that was kept, whoever kept it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is none with this reference, or the store cannot be read.
    pub async fn fetch(self: &Arc<Self>, wanted: Fetch) -> Result<Fetched, Refusal> {
        let id = id(&wanted.reference)?;
        let this = Arc::clone(self);
        let limit = self.look(NO_AGENT, move || Ok(this.load()?.settings.inline_limit)).await?;
        let read = self.journal.read(move |connection| replies::read(connection, &id)).await;
        let kept = read.map_err(|error| {
            Refusal::new(format!("what is kept of replies cannot be read: {error}"))
        })?;
        let Some(kept) = kept else {
            // What has an id and no reply yet is told of from here.
            return Err(unknown(&wanted.reference));
        };
        // A long one takes a while.
        let work = move || {
            let reply = serde_json::from_str(&kept.json).map_err(|error| {
                Refusal::new(format!("what is kept of {} is no reply: {error}", wanted.reference))
            })?;
            Ok(page(reply, &wanted, limit as usize))
        };
        self.look(NO_AGENT, work).await
    }
}

/// The id that a reference names.
fn id(reference: &str) -> Result<String, Refusal> {
    let reference = reference.trim();
    let digits = reference.len().checked_sub(DIGITS).and_then(|start| reference.get(start..));
    let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let apart = reference.len() == DIGITS
        || reference
            .get(..reference.len().saturating_sub(DIGITS))
            .is_some_and(|agent| agent.len() > 1 && agent.ends_with('-'));
    digits.filter(|_| apart).map(str::to_ascii_lowercase).ok_or_else(|| {
        Refusal::new(format!("{reference:?} is no ref: it has to be 32 hexadecimal digits"))
            .with_hint("Give the value of ref from a reply as it stands there.")
    })
}

fn unknown(reference: &str) -> Refusal {
    Refusal::new(format!("no reply is kept under the ref {:?}", reference.trim())).with_hint(
        "Give the value of ref from a reply as it stands there. Old replies make room for new ones; settings.job_retention_days bounds their age too. Where it is gone the agent has to be asked again.",
    )
}

/// The part of a reply that is wanted, within a limit where there is one and no other bound.
fn page(mut reply: Reply, wanted: &Fetch, limit: usize) -> Fetched {
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
    Fetched {
        parsed_result_size: size.filter(|_| reply.parsed_result.is_none()),
        reply,
        truncated,
        full_size: (!is_whole).then_some(full),
        next_offset: truncated.then_some(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_an_id_also_with_its_agent() {
        let digits = "0123456789abcdef0123456789ABCDEF";
        for good in [digits.to_owned(), format!(" infra-{digits}\n"), format!("a-b-{digits}")] {
            assert_eq!(id(&good).expect(&good), digits.to_lowercase());
        }
        let shorter = &digits[1..];
        for bad in [
            "",
            "infra",
            shorter,
            &format!("g{shorter}"),
            &format!("{digits}-"),
            &format!("0{digits}"),
            &format!("-{digits}"),
            &format!("é{shorter}"),
        ] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }
}
