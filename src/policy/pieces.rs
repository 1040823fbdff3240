//! Texts that a policy puts together from its own words and parts of replies.

use super::bindings::agent_dispatch::policy::types::{Piece, Span};
use super::error::Failure;

/// Longest text that is put together, and all that a call has put together before, in bytes:
/// a policy of a few lines can name a large reply a thousand times.
pub(super) const JOINED_BYTES: usize = 64 << 20;

/// Which replies do these pieces name?
pub(super) fn named(pieces: &[Piece]) -> impl Iterator<Item = u32> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Reply(span) => Some(span.reply),
    })
}

/// Puts the text together; `reply` gives the full text of a reply, and `before` says how
/// many bytes are in use already.
///
/// # Errors
///
/// [`Failure::Bound`] where it is longer than any prompt or answer can be.
pub(super) fn join<'t>(
    pieces: &'t [Piece],
    reply: impl Fn(u32) -> &'t str + Clone,
    before: usize,
) -> Result<String, Failure> {
    let texts = texts(pieces, reply);
    let size = texts.clone().map(str::len).fold(0, usize::saturating_add);
    if size.saturating_add(before) > JOINED_BYTES {
        let bound = format!("{} MiB of text put together", JOINED_BYTES >> 20);
        return Err(Failure::Bound { bound });
    }
    let mut joined = String::with_capacity(size);
    joined.extend(texts);
    Ok(joined)
}

/// Is there nothing to read in the text that these pieces make?
pub(super) fn is_blank<'t>(pieces: &'t [Piece], reply: impl Fn(u32) -> &'t str + Clone) -> bool {
    texts(pieces, reply).all(|text| text.trim().is_empty())
}

fn texts<'t>(
    pieces: &'t [Piece],
    reply: impl Fn(u32) -> &'t str + Clone,
) -> impl Iterator<Item = &'t str> + Clone {
    pieces.iter().map(move |piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Reply(Span { reply: number, start, end }) => part(reply(*number), *start, *end),
    })
}

/// The bytes of a text from `start` to `end`, moved to the front of the characters they
/// lie in.
fn part(text: &str, start: u64, end: u64) -> &str {
    let place = |at: u64| text.floor_char_boundary(usize::try_from(at).unwrap_or(usize::MAX));
    text.get(place(start)..place(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(reply: u32, start: u64, end: u64) -> Piece {
        Piece::Reply(Span { reply, start, end })
    }

    #[test]
    fn parts_are_cut_at_characters_and_stay_within_the_text() {
        let texts = ["äbc", "second"];
        let joined = |pieces: &[Piece]| join(pieces, |number| texts[number as usize], 0).ok();
        let pieces = [span(0, 1, 3), Piece::Text("|".into()), span(1, 2, u64::MAX)];
        assert_eq!(joined(&pieces).as_deref(), Some("äb|cond"));
        assert_eq!(joined(&[span(1, 4, 2), span(1, 90, 99)]).as_deref(), Some(""));
    }

    #[test]
    fn a_reply_that_is_named_again_and_again_has_an_end() {
        let long = "x".repeat(1 << 20);
        let pieces = vec![span(0, 0, u64::MAX); 65];
        assert!(join(&pieces[1..], |_| &long, 0).is_ok());
        assert!(join(&pieces[1..], |_| &long, 1).is_err(), "what was put together before counts");
        let error = join(&pieces, |_| &long, 0).expect_err("it is too long").to_string();
        assert_eq!(error, "it was stopped: more than 64 MiB of text put together");
    }
}
