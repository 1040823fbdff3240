//! When a message says again what an earlier one has said.

use std::collections::HashMap;

/// Does this share of the words of each stand in the other, each as often as it stands there?
/// Both ways, because a long answer holds most words of a short one.
pub(crate) fn is_again(message: &str, earlier: &str, share: f64) -> bool {
    let (message, earlier) = (words(message), words(earlier));
    let mut left: HashMap<&str, u32> = HashMap::new();
    for word in &earlier {
        *left.entry(word).or_default() += 1;
    }
    let mut same: u32 = 0;
    for word in &message {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            same += 1;
        }
    }
    let longer = u32::try_from(message.len().max(earlier.len())).unwrap_or(u32::MAX);
    longer > 0 && f64::from(same) >= share * f64::from(longer)
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
