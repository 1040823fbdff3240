//! Other people's texts where one line of them is shown.

/// A text for people to read, in one line of at most so many characters. Its author is not
/// trusted with the reader's terminal or log: control characters are shown as what they are, except that an
/// end of line becomes a space.
pub(crate) fn one_line(text: &str, longest: usize) -> String {
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
pub(crate) fn turns_text(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn what_is_shown_has_no_control_characters_and_an_end() {
        assert_eq!(one_line("a\nb\u{1b}[2J\0c", 50), "a b\\u{1b}[2J\\u{0}c");
        assert_eq!(one_line(&"x".repeat(10), 4), "xxxx…");
    }
}
