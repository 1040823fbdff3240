//! Who hears what a policy was given and what it decided.

use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::error::PolicyError;

/// Longest input that is told whole, in bytes of JSON.
const INPUT_BYTES: usize = 1 << 20;

/// A call of a policy that is over.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The kind of the policy.
    pub kind: &'static str,
    /// Which of its functions was called.
    pub function: &'static str,
    /// The name under which it was asked for.
    pub policy: String,
    /// The digest of its component, in hexadecimal.
    pub digest: String,
    /// All that it was given, as JSON; absent where that is longer than 1 MiB.
    pub input: Option<String>,
    /// What it decided, as JSON, or why it did not.
    pub decision: Result<String, String>,
}

/// Hears of the calls of a policy. It must not block.
pub type Witness = Arc<dyn Fn(Decided) + Send + Sync>;

/// What a call was given, as JSON, unless it is too long.
pub(super) struct Given(pub(super) Option<String>);

/// What a call is given.
#[derive(Serialize)]
pub(super) struct Input<'a, R, S> {
    pub(super) config: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<&'a R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<&'a S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) situation: Option<&'a S>,
}

/// The same as JSON, unless it is too long.
pub(super) fn json(input: &impl Serialize) -> Option<String> {
    let mut bounded = Bounded(Vec::new());
    serde_json::to_writer(&mut bounded, input).ok()?;
    String::from_utf8(bounded.0).ok()
}

/// What a call came to, as JSON.
pub(super) fn decision<D: Serialize>(decided: &Result<D, PolicyError>) -> Result<String, String> {
    match decided {
        Ok(decision) => serde_json::to_string(decision).map_err(|error| error.to_string()),
        Err(error) => Err(error.failure.to_string()),
    }
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > INPUT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
