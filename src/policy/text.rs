//! Fitting text into the input limit.

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
    use super::Allowance;

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
