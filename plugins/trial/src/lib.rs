//! A prompt policy for tests: it does what its config says, bad things above all.
//!
//! `{"check": BEHAVIOUR, "render": BEHAVIOUR, "interpret": BEHAVIOUR}` names what each
//! of the three calls does; one that is not named does the plain thing. Some
//! behaviours take a text: `user:Why?`.

mod bad;
#[cfg(target_os = "wasi")]
mod wasi;

use serde::Deserialize;
use support::bindings::agent_dispatch::policy::types::{PolicyError, Reply, Request};
use support::bindings::exports::agent_dispatch::policy::prompt::{
    Edit, Guest, Interpretation, Rendered,
};

struct Trial;
support::bindings::export!(Trial with_types_in support::bindings);

/// What each call does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    check: Option<String>,
    render: Option<String>,
    interpret: Option<String>,
}

impl Guest for Trial {
    fn check(config: String) -> Result<(), PolicyError> {
        match read(&config)?.check {
            Some(behaviour) => bad::behave(&behaviour),
            None => Ok(()),
        }
    }

    fn render(config: String, request: Request) -> Result<Rendered, PolicyError> {
        let mut rendered = Rendered { user: request.task, system: None };
        let Some(behaviour) = read(&config)?.render else {
            return Ok(rendered);
        };
        match behaviour.split_once(':').unwrap_or((&behaviour, "")) {
            ("empty", _) => rendered.user = String::new(),
            ("huge", _) => rendered.user = huge(),
            ("user", text) => rendered.user = String::from(text),
            ("system", text) => rendered.system = Some(text.to_owned()),
            #[cfg(target_os = "wasi")]
            ("environment", _) => rendered.user = wasi::environment(),
            _ => bad::behave(&behaviour)?,
        }
        Ok(rendered)
    }

    fn interpret(
        config: String,
        _request: Request,
        _reply: Reply,
    ) -> Result<Interpretation, PolicyError> {
        let mut meaning =
            Interpretation { edit: Edit::Keep, outcome: None, hint: None, parsed: None };
        let Some(behaviour) = read(&config)?.interpret else {
            return Ok(meaning);
        };
        match behaviour.split_once(':').unwrap_or((&behaviour, "")) {
            ("huge", _) => meaning.edit = Edit::Replace(huge()),
            ("replace", text) => meaning.edit = Edit::Replace(text.to_owned()),
            ("keep-first", bytes) => {
                meaning.edit = Edit::KeepFirst(bytes.parse().map_err(|_| unknown(&behaviour))?);
            }
            ("outcome", word) => meaning.outcome = Some(word.to_owned()),
            ("hint", text) => meaning.hint = Some(text.to_owned()),
            ("parsed", text) => meaning.parsed = Some(text.to_owned()),
            _ => bad::behave(&behaviour)?,
        }
        Ok(meaning)
    }
}

fn read(config: &str) -> Result<Config, PolicyError> {
    serde_json::from_str(config).map_err(|error| PolicyError::InvalidConfig(error.to_string()))
}

/// A test that misspells a behaviour must not pass.
fn unknown(behaviour: &str) -> PolicyError {
    PolicyError::InvalidConfig(format!("this call has no behaviour `{behaviour}`"))
}

/// More than any call may return.
fn huge() -> String {
    "x".repeat(20 << 20)
}
