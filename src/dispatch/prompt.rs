//! The stage between a request and its run: the agent's prompt policy puts the
//! request into words, and afterwards says what the reply means.

use std::sync::Arc;

use super::choice::{Chosen, how_to_choose, stand_in};
use super::reply::Reply;
use super::request::Request;
use crate::agent::{ErrorType, Failure, RunRequest, Session};
use crate::config::Agent;
use crate::policy::prompt::{self, Edit, Meaning, Prompt};
use crate::policy::{self, Host, PolicyError, Source, Told, Witness};

/// A request in the words of its policy.
pub(super) struct Worded {
    /// The user's message, as the agent will read it.
    pub(super) user: String,
    /// Text for the system prompt.
    pub(super) system: Option<String>,
    /// What reads the reply.
    pub(super) reader: Reader,
}

/// What is kept of the wording until the reply is there.
pub(super) struct Reader {
    /// The policy that wrote the prompt.
    pub(super) policy: Prompt,
    /// The request as the policy saw it.
    seen: prompt::Request,
    /// Why the built-in policy stood in.
    fallback: Option<PolicyError>,
}

impl Reader {
    /// The built-in policy that stood in.
    pub(super) fn stand_in(&self) -> Option<&'static str> {
        self.fallback.as_ref().map(|_| stand_in(prompt::KIND))
    }

    /// Why the built-in policy stood in, for the reader of the reply.
    pub(super) fn fallback(&self) -> Option<String> {
        let error = self.fallback.as_ref()?;
        let name = stand_in(prompt::KIND);
        Some(format!("{error}; the built-in '{name}' wrote the prompt"))
    }
}

/// Has the chosen policy put a request into words. Whatever goes wrong here has cost
/// nothing.
pub(super) async fn word(
    host: &Arc<Host>,
    chosen: &Chosen,
    seen: prompt::Request,
    witness: Option<Witness>,
) -> Result<Worded, Failure> {
    match (render(host, &chosen.source, &seen, witness.clone()).await, &chosen.stand_in) {
        (Ok((rendered, policy)), _) => Ok(worded(rendered, policy, seen, None)),
        (Err(error), Some(stand_in)) => {
            tracing::info!(agent = seen.agent.name, %error, "the built-in prompt policy stands in");
            let (rendered, policy) =
                render(host, stand_in, &seen, witness).await.map_err(|error| failure(&error))?;
            Ok(worded(rendered, policy, seen, Some(error)))
        }
        (Err(error), None) => Err(failure(&error)),
    }
}

/// Has the policy read the reply of a run that ended well. The reply keeps the
/// agent's text whatever the policy does.
pub(super) async fn interpret(reader: &Reader, reply: &mut Reply) {
    reply.policy_fallback = reader.fallback();
    if !reply.success {
        return;
    }
    match reader.policy.interpret(&reader.seen, &told(reply)).await {
        Ok(meaning) => apply(meaning, reply),
        Err(error) => {
            tracing::info!(agent = reply.agent, %error, "the reply stands as the agent gave it");
            reply.policy_error = Some(error.to_string());
        }
    }
}

async fn render(
    host: &Arc<Host>,
    source: &Source,
    seen: &prompt::Request,
    witness: Option<Witness>,
) -> Result<(prompt::Rendered, Prompt), PolicyError> {
    let policy = host.prompt(source).await?.watched(witness);
    let rendered = policy.render(seen).await?;
    Ok((rendered, policy))
}

fn worded(
    rendered: prompt::Rendered,
    policy: Prompt,
    seen: prompt::Request,
    fallback: Option<PolicyError>,
) -> Worded {
    let mut user = rendered.user;
    // An agent CLI takes a message that begins with a slash for one of its own
    // commands, and runs it instead of asking the model.
    let invisible =
        |character: char| character.is_whitespace() || "\u{feff}\u{200b}".contains(character);
    if user.trim_start_matches(invisible).starts_with('/') {
        user.insert(0, '\n');
    }
    let system = rendered.system.filter(|system| !system.trim().is_empty());
    Worded { user, system, reader: Reader { policy, seen, fallback } }
}

fn failure(error: &PolicyError) -> Failure {
    let advice = if matches!(error.failure, policy::Failure::TooLong { .. }) {
        "Name files for the agent to read instead of their content.".to_owned()
    } else {
        how_to_choose(prompt::KIND)
    };
    let failure = Failure::new(ErrorType::Policy, error.to_string());
    failure.hint(format!("Nothing was run or spent. {advice}"))
}

/// An agent as policies see it.
pub(super) fn shown_agent(agent: &Agent) -> prompt::Agent {
    prompt::Agent {
        name: agent.name.clone(),
        directory: agent.directory.display().to_string(),
        description: optional(&agent.description),
        capabilities: Vec::new(),
        instructions: None,
        facts: Vec::new(),
    }
}

fn optional(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The request as its policy sees it.
pub(super) fn seen(
    agent: &Agent,
    request: &Request,
    run: &RunRequest,
    depth: u32,
) -> prompt::Request {
    prompt::Request {
        agent: prompt::Agent {
            directory: run.directory.display().to_string(),
            ..shown_agent(agent)
        },
        task: request.task.clone(),
        context: optional(&request.context),
        caller: optional(&request.caller),
        goal: optional(&request.goal),
        shared_context: None,
        answer_format: request.answer_format().to_owned(),
        timeout_seconds: u32::try_from(run.timeout.as_secs()).unwrap_or(u32::MAX),
        spend_cap_usd: run.max_budget_usd,
        depth,
        resumed: matches!(run.session, Session::Resume(_)),
        facts: Vec::new(),
    }
}

/// A reply as policies see it.
pub(super) fn told(reply: &Reply) -> Told<'_> {
    let facts = prompt::Reply {
        success: reply.success,
        // The policy room puts the text in, as far as it fits.
        text: String::new(),
        size: 0,
        complete: false,
        error_type: reply.error_type.map(|word| word.to_string()),
        error: reply.error.clone(),
        outcome: reply.outcome.clone(),
        parsed: reply.parsed_result.as_ref().map(ToString::to_string),
        cost_usd: reply.cost_usd,
        duration_ms: reply.duration_ms,
        turns: reply.num_turns,
        facts: Vec::new(),
    };
    Told { facts, text: &reply.result }
}

fn apply(meaning: Meaning, reply: &mut Reply) {
    match meaning.edit {
        Edit::Keep => {}
        Edit::KeepFirst(bytes) => {
            let kept = prompt::first(&reply.result, bytes).len();
            Arc::make_mut(&mut reply.result).truncate(kept);
        }
        Edit::Replace(text) => reply.result = Arc::new(text),
    }
    reply.outcome = meaning.outcome;
    reply.parsed_result = meaning.parsed.map(Arc::new);
    if let Some(hint) = meaning.hint {
        reply.add_hint(&hint);
    }
}
