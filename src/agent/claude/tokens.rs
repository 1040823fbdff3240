//! The tokens of a run. A result tells those of all that led to it; a run that is ended
//! before it has one is known only by its messages, whose last words are not counted yet.

use std::collections::HashMap;

use serde_json::Value;

use crate::agent::outcome::Tokens;

/// How many messages without a result are remembered.
const MESSAGES: usize = 4096;

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Count {
    results: Option<Tokens>,
    /// Of the messages since the last result: each comes in several events, with one id.
    messages: HashMap<String, Tokens>,
}

impl Count {
    /// Takes the message of an event.
    pub(super) fn message(&mut self, message: &Value) {
        let (Some(id), Some(tokens)) = (message["id"].as_str(), tokens(&message["usage"])) else {
            return;
        };
        if self.messages.len() < MESSAGES || self.messages.contains_key(id) {
            self.messages.insert(id.to_owned(), tokens);
        }
    }

    /// Takes a result, which counts what led to it and not what came before the last one.
    pub(super) fn result(&mut self, result: &Value) {
        if let Some(tokens) = tokens(&result["usage"]) {
            *self.results.get_or_insert_default() += tokens;
            self.messages.clear();
        }
    }

    /// All of them, if any were told.
    pub(super) fn total(&self) -> Option<Tokens> {
        let mut total = self.results;
        for tokens in self.messages.values() {
            *total.get_or_insert_default() += *tokens;
        }
        total
    }
}

fn tokens(usage: &Value) -> Option<Tokens> {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    usage.is_object().then(|| Tokens {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_creation: count("cache_creation_input_tokens"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(id: &str, input: u64) -> Value {
        json!({"id": id, "usage": {"input_tokens": input, "output_tokens": 1}})
    }

    fn read(count: &Count) -> Option<u64> {
        count.total().map(|tokens| tokens.input)
    }

    #[test]
    fn results_count_and_messages_only_where_none_came_after_them() {
        let mut count = Count::default();
        assert_eq!(count.total(), None);
        count.message(&message("a", 10));
        count.message(&message("a", 10));
        count.message(&message("b", 5));
        assert_eq!(read(&count), Some(15));
        let usage = json!({"usage": {"input_tokens": 100, "output_tokens": 20,
            "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}});
        count.result(&usage);
        count.message(&message("c", 7));
        assert_eq!(read(&count), Some(107));
        count.result(&usage);
        let expected = Tokens { input: 200, output: 40, cache_read: 6, cache_creation: 8 };
        assert_eq!(count.total(), Some(expected));
    }

    #[test]
    fn what_is_no_count_is_none() {
        let mut count = Count::default();
        count.message(&json!({"id": "a", "usage": null}));
        count.message(&json!({"usage": {"input_tokens": 1}}));
        count.result(&json!({"usage": "many"}));
        assert_eq!(count.total(), None);
        count.result(&json!({"usage": {"input_tokens": -1, "output_tokens": "x"}}));
        assert_eq!(count.total(), Some(Tokens::default()));
    }
}
