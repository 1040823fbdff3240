//! By which a dispatch knows, in whatever process, what it is part of: W3C Trace Context's
//! `traceparent`, in a variable of our own.

use std::fmt;

use crate::store::journal::SPAN;

/// The variable.
pub(super) const VARIABLE: &str = "AGENT_DISPATCH_TRACEPARENT";

/// How many digits a trace has.
const TRACE: usize = 32;

/// A dispatch, as those below it are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Traceparent {
    /// The same for all that one call led to.
    pub(super) trace: String,
    /// The dispatch's own.
    pub(super) span: String,
}

impl Traceparent {
    /// What those below the run with this id are told.
    pub(super) fn of(trace: &str, run: &str) -> Self {
        Self { trace: trace.to_owned(), span: run.get(..SPAN).unwrap_or(run).to_owned() }
    }

    /// Reads one; what is no such thing is nothing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version, trace, span, flags] = std::array::from_fn(|_| parts.next());
        let hex = |text: Option<&str>, digits: usize| {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            text.filter(|text| text.len() == digits && text.bytes().all(is_digit))
                .map(str::to_owned)
        };
        let is_not_zero = |id: &String| id.bytes().any(|byte| byte != b'0');
        let this_version = version == Some("00") && parts.next().is_none();
        if !this_version || hex(flags, 2).is_none() {
            return None;
        }
        let trace = hex(trace, TRACE).filter(is_not_zero)?;
        let span = hex(span, SPAN).filter(is_not_zero)?;
        Some(Self { trace, span })
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{}-{}-01", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::Traceparent;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_is_read() {
        let read = Traceparent::parse(GOOD).expect("W3C's own example");
        assert_eq!(read.to_string(), GOOD);
        let run = uuid::Uuid::new_v4().simple().to_string();
        let written = Traceparent::of(&read.trace, &run);
        assert_eq!(Traceparent::parse(&written.to_string()), Some(written.clone()));
        assert!(run.starts_with(&written.span));
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        let zeros = |digits| "0".repeat(digits);
        let malformed = [
            String::new(),
            "01".to_owned(),
            GOOD.to_uppercase(),
            GOOD.replace("00-4", "ff-4"),
            GOOD.replace("-01", ""),
            GOOD.replace("-01", "-1"),
            format!("{GOOD}-"),
            format!("{GOOD} "),
            GOOD.replace('f', "g"),
            GOOD.replace('f', "é"),
            format!("00-{}-00f067aa0ba902b7-01", zeros(32)),
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", zeros(16)),
        ];
        for text in malformed {
            assert_eq!(Traceparent::parse(&text), None, "{text}");
        }
        assert!(Traceparent::parse(&GOOD.replace("-01", "-00")).is_some(), "not sampled");
    }
}
