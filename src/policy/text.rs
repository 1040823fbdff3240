//! Texts on their way in and out of a guest.

use super::bindings::agent_dispatch::policy::types::{Agent, Reply};
pub(super) use crate::one_line::one_line as shown;

/// Longest text of a guest in an error or a hint, in characters.
pub(super) const SAID: usize = 2000;

/// What came back from an agent: the facts, and the text, which is copied only as far as it
/// fits.
#[derive(Debug)]
pub struct Told<'a> {
    /// All but the text, its size and its completeness.
    pub facts: Reply,
    /// The agent's text.
    pub text: &'a str,
}

impl Told<'_> {
    /// Its texts, for [`Share::of`].
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let facts = [&self.facts.error, &self.facts.parsed];
        facts.into_iter().flatten().map(String::as_str).chain([self.text])
    }

    /// The reply as far as it fits.
    pub(super) fn fit(&self, share: Share) -> Reply {
        Reply {
            text: share.fit(self.text),
            size: self.text.len() as u64,
            complete: share.holds(self.text),
            error: share.fit_optional(self.facts.error.as_deref()),
            parsed: self.facts.parsed.clone().filter(|parsed| share.holds(parsed)),
            ..self.facts.clone()
        }
    }
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

    /// An agent with its texts as far as they fit.
    pub(super) fn agent(self, agent: &Agent) -> Agent {
        Agent {
            description: self.fit_optional(agent.description.as_deref()),
            instructions: self.fit_optional(agent.instructions.as_deref()),
            ..agent.clone()
        }
    }

    /// The same for a text that may be absent; an empty one is absent.
    pub(super) fn fit_optional(self, text: Option<&str>) -> Option<String> {
        text.filter(|text| !text.is_empty()).map(|text| self.fit(text))
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

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
