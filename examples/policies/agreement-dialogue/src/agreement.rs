//! When both sides agree.

use crate::bindings::exports::agent_dispatch::policy::dialogue::Turn;

/// How to agree, for both sides to read.
pub(crate) const ASKED: &str = "As soon as you agree on what to do, end your reply with a line \
    that begins with AGREED: and says in one sentence on what. If you can agree to such a line \
    of the other side, repeat it.";

/// Signs of emphasis, which agents like to put around such a line.
const EMPHASIS: [char; 3] = ['*', '_', '`'];

/// What both sides agree on: the last message and the other side's one before it both end
/// with such a line. The later summary counts, or the earlier one where that is empty.
pub(crate) fn of_both(turns: &[Turn]) -> Option<&str> {
    let (last, before) = turns.split_last()?;
    let other = before.iter().rfind(|turn| turn.side != last.side)?;
    let (later, earlier) = (summary(&last.reply.text)?, summary(&other.reply.text)?);
    [later, earlier].into_iter().find(|summary| !summary.is_empty())
}

/// The summary in the last line of a message, if that says that its side agrees.
fn summary(message: &str) -> Option<&str> {
    let line = message.trim_end().lines().next_back()?.trim().trim_matches(EMPHASIS);
    let summary = line.strip_prefix("AGREED:")?;
    Some(summary.trim_start_matches(EMPHASIS).trim())
}
