//! The line that a reply ends with.

/// What the agent is asked for.
pub(crate) const ASKED: &str = "End with a line of its own, one of these three:\n\
    STATUS: done\n\
    STATUS: partial - what is left to do\n\
    STATUS: blocked - what is in the way, and who could remove it";

/// Signs of emphasis, which agents like to put around such a line.
const EMPHASIS: [char; 3] = ['*', '_', '`'];

pub(crate) struct Status {
    /// `done`, `partial` or `blocked`.
    pub(crate) outcome: String,
    pub(crate) hint: Option<String>,
    /// How many bytes of the text stand before it, white space not counted.
    pub(crate) kept: usize,
}

/// The status in the last line of a text.
pub(crate) fn read(text: &str) -> Option<Status> {
    let text = text.trim_end();
    let start = text.rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].trim().trim_matches(EMPHASIS);
    let said = line.strip_prefix("STATUS:")?.trim_start_matches(EMPHASIS).trim_start();
    let end = said.find(|c: char| !c.is_alphabetic()).unwrap_or(said.len());
    let outcome = said[..end].to_lowercase();
    if !["done", "partial", "blocked"].contains(&outcome.as_str()) {
        return None;
    }
    let hint = said[end..].trim_matches(|c: char| c.is_whitespace() || "-–—:,*_".contains(c));
    let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty() && hint != ".");
    Some(Status { outcome, hint, kept: text[..start].trim_end().len() })
}
