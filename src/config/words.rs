//! Words for messages: names as the Python tool quotes them, and likely spellings.

/// A text in quotes, as Python's `repr` writes it: the message about an unknown
/// agent is the same to the byte.
pub(super) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if character == quote => quoted.extend(['\\', quote]),
            _ if is_printable(character) => quoted.push(character),
            _ => quoted += &escaped(character),
        }
    }
    quoted.push(quote);
    quoted
}

fn escaped(character: char) -> String {
    match u32::from(character) {
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// The standard library keeps its table of printable characters to itself, but
/// escapes by it; only a combining character that comes first is escaped too.
fn is_printable(character: char) -> bool {
    matches!(character, '\'' | '"' | '\\') || {
        let pair = String::from_iter(['a', character]);
        pair.escape_debug().eq(pair.chars())
    }
}

/// The word that was probably meant: at most two letters wrong, and fewer than half.
pub(super) fn nearest<'w>(
    written: &str,
    words: impl IntoIterator<Item = &'w &'w str>,
) -> Option<&'w str> {
    let distances = words.into_iter().map(|word| (distance(written, word), *word));
    let (distance, word) = distances.min()?;
    (distance <= 2 && distance * 2 < word.len()).then_some(word)
}

/// Levenshtein's distance in characters; texts that differ much in length are far apart.
fn distance(from: &str, to: &str) -> usize {
    if from.len().abs_diff(to.len()) > 8 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, left) in from.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, right) in to.chars().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
