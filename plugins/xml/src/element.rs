//! An element whose text cannot close it.

use std::fmt;

/// A text between an opening tag and the closing tag that it does not contain.
pub(crate) struct Element<'text> {
    tag: String,
    attribute: Option<(&'static str, String)>,
    text: &'text str,
}

impl<'text> Element<'text> {
    /// `text` in an element called `name`, or `name-2`, `name-3` and so on where
    /// the text would close that.
    pub(crate) fn around(name: &str, text: &'text str) -> Self {
        Self { tag: free_tag(name, text), attribute: None, text }
    }

    /// The same with an attribute.
    pub(crate) fn with(self, name: &'static str, value: &str) -> Self {
        let value = value
            .replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        Self { attribute: Some((name, value)), ..self }
    }

    /// The element's name.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, attribute, text } = self;
        match attribute {
            Some((name, value)) => write!(out, "<{tag} {name}=\"{value}\">")?,
            None => write!(out, "<{tag}>")?,
        }
        write!(out, "\n{text}\n</{tag}>")
    }
}

/// The first of `name`, `name-2`, `name-3`, … for which `</` and that name do not
/// occur in `text`.
///
/// A language model is a lenient reader: `</ Context>` closes a `<context>` for
/// it. So only visible ASCII is compared, without regard to case. The text is
/// read once, however many such tags it holds: a long list of them must not cost
/// more time than a call has.
fn free_tag(name: &str, text: &str) -> String {
    let text: String =
        text.chars().filter(char::is_ascii_graphic).map(|c| c.to_ascii_lowercase()).collect();
    let closing = format!("</{name}");
    let occurrences = text.matches(&closing).count();
    if occurrences == 0 {
        return name.to_owned();
    }
    // A tag takes its number and each beginning of it, up to seven numbers within
    // a list for any text that fits into a call; so one in the list remains free.
    let mut taken = vec![false; 8 * occurrences + 3];
    for (at, _) in text.match_indices(&closing) {
        let Some(digits) = text[at + closing.len()..].strip_prefix('-') else {
            continue;
        };
        let mut number = 0;
        for digit in digits.chars().map_while(|c| c.to_digit(10)) {
            number = number * 10 + digit as usize;
            match taken.get_mut(number) {
                // `</context-25` also begins with `</context-2`.
                Some(taken) => *taken = true,
                None => break,
            }
        }
    }
    let free = taken.iter().skip(2).position(|taken| !taken).map_or(taken.len(), |free| free + 2);
    format!("{name}-{free}")
}
