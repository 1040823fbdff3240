//! Making an answer short enough: what is largest is cut first.

use std::sync::Arc;

use super::answers::{Answer, Mark, Place};
use super::text::{LINE, json_length, preview};
use crate::dispatch::reply::{Excerpt, Reply};

/// How many bytes of a text's beginning, and of its end, are left. Fewer where an answer with
/// many texts would be too long otherwise.
const HALVES: [usize; 5] = [4 << 10, 2 << 10, 1 << 10, 512, 256];

/// An answer that was made shorter.
pub(super) struct Shortened<T> {
    pub(super) answer: T,
    /// The replies of which something was cut, whole.
    pub(super) cut: Vec<Reply>,
}

/// Something that can be cut.
struct Piece {
    place: usize,
    what: What,
    /// In bytes.
    size: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Text,
    Parsed,
}

/// Makes an answer as short as this, in bytes of JSON, or as short as it gets; none where it
/// is short enough, or nothing can be cut.
pub(super) fn shorten<T: Answer>(whole: &T, limit: usize) -> Option<Shortened<T>> {
    let replies = whole.replies();
    let mut answer = whole.clone();
    let (mut pieces, raw) = pieces(&answer.places(), &replies);
    if raw <= limit && json_length(&answer) <= limit {
        return None;
    }
    // Those of one size in their order, so that the same answer is always cut the same.
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.size));
    let mut cut = Vec::new();
    for half in HALVES {
        answer = whole.clone();
        let shortening = Shortening { replies: &replies, pieces: &pieces, half, limit };
        let fits;
        (cut, fits) = shortening.apply(&mut answer, raw);
        if fits {
            break;
        }
    }
    cut.sort_unstable();
    cut.dedup();
    let cut: Vec<Reply> = cut.into_iter().map(|place| replies[place].clone()).collect();
    (!cut.is_empty()).then_some(Shortened { answer, cut })
}

/// What can be cut of an answer, and how much stands at its places in all, in bytes.
fn pieces(places: &[Place<'_>], replies: &[Reply]) -> (Vec<Piece>, usize) {
    let (mut pieces, mut raw) = (Vec::new(), 0);
    for (number, (place, reply)) in places.iter().zip(replies).enumerate() {
        let text = place.text.as_ref().map(|text| (What::Text, text.len()));
        let parsed = place.parsed.as_ref().and_then(|parsed| parsed.as_ref());
        let parsed = parsed.map(|parsed| (What::Parsed, json_length(parsed)));
        for (what, size) in [text, parsed].into_iter().flatten() {
            raw += size;
            // Only what can be fetched.
            if reply.run.is_some() {
                pieces.push(Piece { place: number, what, size });
            }
        }
    }
    (pieces, raw)
}

struct Shortening<'a> {
    replies: &'a [Reply],
    pieces: &'a [Piece],
    half: usize,
    limit: usize,
}

impl Shortening<'_> {
    /// Cuts one piece after the other until the answer is short enough; the places where it
    /// did, and whether it is.
    fn apply<T: Answer>(&self, answer: &mut T, mut raw: usize) -> (Vec<usize>, bool) {
        let least = 2 * self.half + LINE;
        let mut pieces = self.pieces.iter().take_while(|piece| piece.size > least);
        let mut done = Vec::new();
        let mut places = answer.places();
        // As long as it is too long for sure nothing long has to be looked at.
        while raw > self.limit
            && let Some(piece) = pieces.next()
        {
            let now = self.cut(piece, &mut places[piece.place]);
            raw = raw.saturating_sub(piece.size) + now;
            done.push(piece.place);
        }
        drop(places);
        let mut left = json_length(answer);
        let mut places = answer.places();
        while left > self.limit
            && let Some(piece) = pieces.next()
        {
            let place = &mut places[piece.place];
            let before = length(place);
            self.cut(piece, place);
            left = left.saturating_sub(before) + length(place);
            done.push(piece.place);
        }
        (done, left <= self.limit)
    }

    /// Cuts a piece; how many bytes are left of it.
    fn cut(&self, piece: &Piece, place: &mut Place<'_>) -> usize {
        let reply = &self.replies[piece.place];
        let reference = reply.run.clone().unwrap_or_default();
        let mut left = 0;
        match (piece.what, &mut place.text, &mut place.parsed) {
            (What::Text, Some(text), _) => {
                **text = Arc::new(preview(text, &reference, self.half));
                left = text.len();
            }
            (What::Parsed, _, Some(parsed)) => **parsed = None,
            _ => {}
        }
        let parsed = (piece.what == What::Parsed).then_some(piece.size);
        match &mut place.mark {
            Mark::Excerpt(excerpt) => {
                let size = reply.result.len();
                excerpt.get_or_insert_with(|| Excerpt::of(reference, size)).add_parsed(parsed);
            }
            Mark::Parsed(size) => **size = parsed,
        }
        left
    }
}

/// How long all that can change at a place is, as JSON.
fn length(place: &Place<'_>) -> usize {
    let text = place.text.as_ref().map_or(0, json_length);
    let parsed = place.parsed.as_ref().and_then(|parsed| parsed.as_ref()).map_or(0, json_length);
    let mark = match &place.mark {
        Mark::Excerpt(excerpt) => excerpt.as_ref().map_or(0, json_length),
        Mark::Parsed(size) => json_length(&size),
    };
    text + parsed + mark
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dispatch::delivery::Delivered;

    const LIMIT: usize = 40 << 10;

    fn reply(text: usize, parsed: Option<usize>) -> Delivered {
        let mut reply = Reply::made("a", &Arc::new("x".repeat(text)));
        reply.parsed_result = parsed.map(|size| Arc::new(Value::String("p".repeat(size))));
        Delivered::Reply(Box::new(reply))
    }

    /// Which of result and parsed result are left whole, and the answer as JSON.
    fn left(answer: &Delivered, limit: usize) -> (bool, bool, Value) {
        let whole = json!(answer);
        let short = shorten(answer, limit).map_or_else(|| whole.clone(), |it| json!(it.answer));
        let same = |key: &str| short.get(key) == whole.get(key);
        (same("result"), same("parsed_result"), short)
    }

    #[test]
    fn what_makes_a_reply_large_is_left_out_and_nothing_else() {
        let cases = [
            (100, None, (true, true)),
            (41_000, None, (false, true)),
            (20_000, Some(15_000), (true, true)),
            (20_000, Some(25_000), (true, false)),
            (25_000, Some(20_000), (false, true)),
            (100, Some(50_000), (true, false)),
            (60_000, Some(50_000), (false, false)),
        ];
        for (text, parsed, (whole_text, whole_parsed)) in cases {
            let (text_stays, parsed_stays, short) = left(&reply(text, parsed), LIMIT);
            assert_eq!((text_stays, parsed_stays), (whole_text, whole_parsed), "{text} {parsed:?}");
            assert!(json_length(&short) <= LIMIT);
            let is_cut = !(whole_text && whole_parsed);
            assert_eq!(short["truncated"] == true, is_cut, "{text} {parsed:?}");
            assert_eq!(short["size"] == text, is_cut, "{text} {parsed:?}");
            assert_eq!(short["ref"].is_string(), is_cut, "{text} {parsed:?}");
            let size = parsed.filter(|_| !whole_parsed).map(|size| json!(size + 2));
            assert_eq!(short.get("parsed_result_size"), size.as_ref(), "{text} {parsed:?}");
        }
    }

    #[test]
    fn a_reply_that_cannot_be_fetched_is_not_cut() {
        let Delivered::Reply(mut reply) = reply(100_000, None) else { panic!("a reply") };
        reply.run = None;
        assert!(shorten(&Delivered::Reply(reply), LIMIT).is_none());
    }

    #[test]
    fn a_small_limit_leaves_less_but_something() {
        for limit in [1, 700, 2000, 5000, 10_000] {
            let (_, _, short) = left(&reply(100_000, None), limit);
            let length = json_length(&short);
            assert!(length <= limit.max(1000), "{limit}: {length}");
            assert!(short["result"].as_str().is_some_and(|text| text.starts_with("xxx")));
        }
        assert!(left(&reply(600, None), 1).0, "a preview would be no shorter");
    }
}
