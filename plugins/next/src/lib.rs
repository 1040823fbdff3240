//! A prompt policy for tests, built against a made-up version of the interface: a host that
//! speaks that one beside the others can use it.

mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wit_bindgen::generate!({ path: "../../tests/wit/0.2.0", world: "prompt-policy" });
    export!(Next with_types_in self);
    use super::Next;
}

use bindings::agent_dispatch::policy::host::{Level, log};
use bindings::agent_dispatch::policy::types::{PolicyError, Reply, Request};
use bindings::exports::agent_dispatch::policy::prompt::{Guest, Rendered};

struct Next;

impl Guest for Next {
    fn check(config: String) -> Result<(), PolicyError> {
        if config == "{}" { Ok(()) } else { Err(PolicyError::Later(config)) }
    }

    fn render(_config: String, request: Request) -> Result<Rendered, PolicyError> {
        let Request { task, urgency } = request;
        log(Level::Loud, "rendered");
        Ok(Rendered { model: None, user: format!("{urgency}: {task}") })
    }

    fn interpret(_config: String, _request: Request, reply: Reply) -> Result<String, PolicyError> {
        Ok(reply.text.to_uppercase())
    }
}
