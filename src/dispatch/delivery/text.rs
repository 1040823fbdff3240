//! Cutting texts, always between two characters, and how long things are as JSON.

use std::io;

use serde::Serialize;

/// The beginning and the end of a text, so many bytes of each at most, and between them a line
/// that says what is missing and how to get it.
pub(super) fn preview(text: &str, reference: &str, half: usize) -> String {
    let head = &text[..text.floor_char_boundary(half)];
    let tail = &text[text.ceil_char_boundary(text.len().saturating_sub(half))..];
    let left_out = text.len().saturating_sub(head.len() + tail.len());
    let offset = head.chars().count();
    format!(
        "{head}\n[{left_out} of {} bytes are left out here. fetch_result with ref \"{reference}\" and offset {offset} goes on from here.]\n{tail}",
        text.len()
    )
}

/// What the line between takes, in bytes, generously.
pub(super) const LINE: usize = 200;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    /// In characters.
    pub(super) length: usize,
    /// Of the whole text, in characters.
    pub(super) full: usize,
}

/// The part from a character on, as far as `most` lets it: it is given what each character
/// takes as JSON, in bytes, and says whether there is room for it.
pub(super) fn part(text: &str, offset: usize, mut most: impl FnMut(usize) -> bool) -> Part<'_> {
    let start = text.char_indices().nth(offset).map_or(text.len(), |(at, _)| at);
    let (before, rest) = text.split_at(start);
    let (mut length, mut end) = (0, 0);
    for character in rest.chars() {
        if !most(json_length_of(character)) {
            break;
        }
        length += 1;
        end += character.len_utf8();
    }
    let after = rest[end..].chars().count();
    let full = before.chars().count() + length + after;
    Part { text: &rest[..end], length, full }
}

/// How long a character is in a text of JSON, in bytes, as serde_json writes it.
fn json_length_of(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..' ' => 6,
        character => character.len_utf8(),
    }
}

/// How long a value is as JSON, in bytes.
pub(super) fn json_length(value: &impl Serialize) -> usize {
    let mut counted = Counted(0);
    // What cannot be written as JSON is said where it is written.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "aé€🦘\u{301}\"\\\n\r\t\u{8}\u{c}\0\u{1b}\u{1f} \u{7f}z";

    #[test]
    fn a_character_is_as_long_as_it_is_written() {
        for character in MIXED.chars() {
            let text = character.to_string();
            assert_eq!(json_length(&text), json_length_of(character) + 2, "{character:?}");
        }
    }

    #[test]
    fn a_preview_never_cuts_a_character_and_says_where_to_go_on() {
        let text = MIXED.repeat(100);
        for half in 0..60 {
            let preview = preview(&text, "r", half);
            let mut lines = preview.split("\n[");
            let head = lines.by_ref().take(1).collect::<String>();
            let (line, tail) = preview[head.len()..].split_once("]\n").expect("a line");
            assert!(text.starts_with(&head) && text.ends_with(tail));
            assert!(head.len() <= half && tail.len() <= half && line.len() < LINE);
            let offset: usize = line
                .split_once("offset ")
                .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
                .expect("an offset");
            assert_eq!(head.chars().count(), offset);
            let left_out = text.len() - head.len() - tail.len();
            assert!(line.contains(&format!("[{left_out} of {} bytes", text.len())), "{line}");
        }
    }

    #[test]
    fn parts_put_together_are_the_whole() {
        let text = MIXED.repeat(3);
        let full = text.chars().count();
        for most in 1..full + 2 {
            let (mut whole, mut offset) = (String::new(), 0);
            while offset < full {
                let mut left = most;
                let part = part(&text, offset, |_| {
                    left = left.wrapping_sub(1);
                    left != usize::MAX
                });
                assert_eq!((part.length, part.full), (part.text.chars().count(), full));
                assert!(part.length > 0 && part.length <= most);
                whole.push_str(part.text);
                offset += part.length;
            }
            assert_eq!(whole, text);
        }
        let beyond = part(&text, full + 5, |_| true);
        assert_eq!(beyond, Part { text: "", length: 0, full });
    }
}
