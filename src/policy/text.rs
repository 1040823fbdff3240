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
            character if character.is_control() || turns_text(character) => {
                shown.extend(character.escape_default());
            }
            character => shown.push(character),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that change the direction in which a terminal shows what follows.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How long each text of a call may be, in bytes, so that all of them fit into the
/// input limit: texts that fit into an equal share are whole, and what they leave is
/// shared among the longer ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share(usize);

impl Share {
    pub(super) fn of(limit: usize, texts: &[&str]) -> Self {
        let mut sizes: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        sizes.sort_unstable();
        let mut left = limit;
        for (place, size) in sizes.iter().enumerate() {
            let share = left / (sizes.len() - place);
            if *size > share {
                return Self(share);
            }
            left -= size;
        }
        Self(usize::MAX)
    }

    /// `text` as far as it fits: whole, or its head and tail with the cut marked.
    pub(super) fn fit(self, text: &str) -> String {
        if self.holds(text) {
            return text.to_owned();
        }
        let half = self.0 / 2;
        let head = &text[..text.floor_char_boundary(half)];
        let tail = &text[text.ceil_char_boundary(text.len() - half)..];
        let missing = text.len() - head.len() - tail.len();
        format!("{head}\n[… {missing} bytes are missing here …]\n{tail}")
    }

    /// Is this text whole?
    pub(super) fn holds(self, text: &str) -> bool {
        text.len() <= self.0
    }

    /// The same for a text that may be absent; an empty one is absent.
    pub(super) fn fit_optional(self, text: Option<&str>) -> Option<String> {
        text.filter(|text| !text.is_empty()).map(|text| self.fit(text))
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, shown};

    #[test]
    fn what_is_shown_has_no_control_characters_and_an_end() {
        assert_eq!(shown("a\nb\u{1b}[2J\0c", 50), "a b\\u{1b}[2J\\u{0}c");
        assert_eq!(shown(&"x".repeat(10), 4), "xxxx…");
    }

    #[test]
    fn short_texts_are_whole_and_long_ones_share_what_they_leave() {
        let (short, long, longer) = ("abc", "q".repeat(100), "z".repeat(200));
        let share = Share::of(43, &[&longer, short, &long]);
        assert!(share.holds(short));
        let kept = |text: &str| text.matches(['q', 'z']).count();
        assert_eq!((kept(&share.fit(&long)), kept(&share.fit(&longer))), (20, 20));
        assert!(Share::of(303, &[&longer, short, &long]).holds(&longer));
    }

    #[test]
    fn a_cut_keeps_both_ends_and_never_splits_a_character() {
        let text = "ä".repeat(100);
        let cut = Share::of(21, &[&text]).fit(&text);
        let end = "ä".repeat(5);
        assert_eq!(cut, format!("{end}\n[… 180 bytes are missing here …]\n{end}"));
    }
}
