//! Texts on their way in and out of a guest.

/// Longest text of a guest in an error or a hint, in characters.
pub(super) const SAID: usize = 2000;

/// A guest's text for people to read. Its author is not trusted with the reader's
/// terminal or log: control characters are shown as what they are, except that an
/// end of line becomes a space.
pub(super) fn shown(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(longest) {
        match character {
            '\n' | '\t' | '\r' => shown.push(' '),
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// What is left of a call's input limit, in bytes.
pub(super) struct Allowance(usize);

impl Allowance {
    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// `text` as far as it fits: whole, or its head and tail with the cut marked.
    /// The second value is true when it is whole.
    pub(super) fn take(&mut self, text: &str) -> (String, bool) {
        if text.len() <= self.0 {
            self.0 -= text.len();
            return (text.to_owned(), true);
        }
        let half = std::mem::take(&mut self.0) / 2;
        let head = &text[..text.floor_char_boundary(half)];
        let tail = &text[text.ceil_char_boundary(text.len() - half)..];
        let missing = text.len() - head.len() - tail.len();
        (format!("{head}\n[… {missing} bytes are missing here …]\n{tail}"), false)
    }

    /// The same for a text that may be absent; an empty one is absent.
    pub(super) fn take_optional(&mut self, text: Option<&str>) -> Option<String> {
        text.filter(|text| !text.is_empty()).map(|text| self.take(text).0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, shown};

    #[test]
    fn what_is_shown_has_no_control_characters_and_an_end() {
        assert_eq!(shown("a\nb\u{1b}[2J\0c", 50), "a b\\u{1b}[2J\\u{0}c");
        assert_eq!(shown(&"x".repeat(10), 4), "xxxx…");
    }

    #[test]
    fn text_within_the_limit_is_whole() {
        let mut allowance = Allowance::new(10);
        assert_eq!(allowance.take("hello"), ("hello".to_owned(), true));
        assert_eq!(allowance.take("world"), ("world".to_owned(), true));
        assert!(!allowance.take("!").1);
    }

    #[test]
    fn a_cut_keeps_both_ends_and_never_splits_a_character() {
        let text = "ä".repeat(100);
        let (cut, whole) = Allowance::new(21).take(&text);
        assert!(!whole);
        assert_eq!(
            cut,
            format!("{}\n[… 180 bytes are missing here …]\n{}", "ä".repeat(5), "ä".repeat(5))
        );
    }
}
