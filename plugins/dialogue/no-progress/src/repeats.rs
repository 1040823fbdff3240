//! When a message says the same as another one.

use std::collections::HashMap;

/// Are nine in ten words of `message` words of `earlier`? There each counts as often as
/// it stands there. Messages without words are compared as they are.
pub(crate) fn repeats(message: &str, earlier: &str) -> bool {
    if message.trim() == earlier.trim() {
        return true;
    }
    let mut said: HashMap<String, u32> = HashMap::new();
    for word in words(earlier) {
        *said.entry(word).or_default() += 1;
    }
    let (mut all, mut same) = (0, 0);
    for word in words(message) {
        all += 1;
        if let Some(count) = said.get_mut(&word).filter(|count| **count > 0) {
            *count -= 1;
            same += 1;
        }
    }
    all > 0 && 10 * same >= 9 * all
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::repeats;

    #[test]
    fn nine_words_in_ten_are_the_same() {
        let said = "one two three four five six seven eight nine ten";
        for (message, same) in [
            (said, true),
            ("One, two, three - four five six seven eight nine more!", true),
            ("one two three four five six seven eight NEW WORDS", false),
            ("one one one one one one one one one one", false),
            ("ten", true),
            ("", false),
            ("?!", false),
        ] {
            assert_eq!(repeats(message, said), same, "{message:?}");
        }
        assert!(repeats(" ?!\n", "?!") && !repeats("?", "!"));
    }
}
