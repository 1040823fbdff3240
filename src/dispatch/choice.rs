//! Which policy of a kind serves: a name is looked up in the config's `policies`, then
//! among the built-in ones.

use super::reply::Refusal;
use crate::config::{Config, LimitOverrides, OnError};
use crate::policy::aggregate::Aggregate;
use crate::policy::dialogue::Dialogue;
use crate::policy::{self, ComponentSource, Installed, Kind as _, Limits, Source};

/// The built-in policy that stands in for one that fails, with an empty config.
pub(super) fn stand_in(kind: &str) -> &'static str {
    match kind {
        Aggregate::NAME => "synthesize",
        Dialogue::NAME => "resolved",
        _ => "classic",
    }
}

/// The policy that was chosen.
pub(super) struct Chosen {
    pub(super) source: Source,
    /// Where it fails before anything is spent, the built-in one stands in.
    pub(super) stand_in: Option<Source>,
}

impl Chosen {
    /// The policy of this kind and name; the error says why there is none that can be
    /// used, as far as the config tells.
    pub(super) fn of(config: &Config, kind: &'static str, name: &str) -> Result<Self, String> {
        if let Some(problem) = problem(config, kind, name) {
            return Err(problem);
        }
        let Some(Ok(entry)) = config.policy(name) else {
            return Ok(Self { source: built_in(config, name), stand_in: None });
        };
        let component = match &entry.component {
            Some(path) => ComponentSource::at(path.clone(), &Installed::beside(&config.file)),
            None => ComponentSource::BuiltIn(name.to_owned()),
        };
        let source = Source {
            name: name.to_owned(),
            component,
            config: entry.config.to_string(),
            limits: limits(config.limits(entry)),
        };
        let falls_back = entry.on_error == OnError::Fallback;
        Ok(Self { source, stand_in: falls_back.then(|| built_in(config, stand_in(kind))) })
    }
}

/// The same for a call that cannot be served without it.
pub(super) fn chosen(config: &Config, kind: &'static str, name: &str) -> Result<Chosen, Refusal> {
    Chosen::of(config, kind, name)
        .map_err(|problem| Refusal::new(problem).with_hint(how_to_choose(kind)))
}

/// The agents that a policy may ask besides those of the call.
pub(super) fn may_ask<'c>(config: &'c Config, name: &str) -> &'c [String] {
    config.policy(name).and_then(Result::ok).map_or(&[], |entry| &entry.may_ask)
}

/// Why no policy of this kind and name can be used, as far as the config tells.
pub(super) fn problem(config: &Config, kind: &str, name: &str) -> Option<String> {
    let is_built_in = || policy::built_in_names(kind).any(|built_in| built_in == name);
    match config.policy(name) {
        Some(Ok(entry)) if entry.component.is_some() || is_built_in() => None,
        Some(Ok(_)) => Some(format!(
            "{kind} policy '{name}' cannot be used: its entry under `policies` names no `component`, and no built-in {kind} policy has its name"
        )),
        Some(Err(problem)) => Some(format!("{kind} policy '{name}' cannot be used: {problem}")),
        None if is_built_in() => None,
        None => {
            let own = config.policies.iter().map(|(name, _)| name);
            let mut names: Vec<&str> = policy::built_in_names(kind).collect();
            names.extend(own);
            Some(format!(
                "there is no {kind} policy '{name}'; there are: {}. A component gets its name under `policies` in agents.yaml",
                names.join(", ")
            ))
        }
    }
}

/// The same, and whether its component is there. Looks at the file system.
pub(super) fn visible_problem(config: &Config, kind: &str, name: &str) -> Option<String> {
    let entry = config.policy(name).and_then(Result::ok);
    match entry.and_then(|entry| entry.component.as_ref()) {
        Some(component) if !component.exists() => Some(format!(
            "{kind} policy '{name}' cannot be used: its component {} is not there",
            component.display()
        )),
        _ => problem(config, kind, name),
    }
}

/// What to do about a policy that cannot be used.
pub(super) fn how_to_choose(kind: &str) -> String {
    let built_in = policy::built_in_names(kind).collect::<Vec<_>>().join(" or ");
    let place = match kind {
        Aggregate::NAME | Dialogue::NAME => "in settings, or by its name in the call",
        _ => "of the agent or in settings",
    };
    format!(
        "Repair the policy or its entry under `policies` in agents.yaml, or choose another one ({built_in} are built in) with `policies: {{{kind}: NAME}}` {place}."
    )
}

fn limits(set: LimitOverrides) -> Limits {
    let default = Limits::default();
    let or = |set: Option<u32>, default| set.map_or(default, u64::from);
    Limits {
        timeout_ms: or(set.timeout_ms, default.timeout_ms),
        memory_mib: or(set.memory_mib, default.memory_mib),
        input_mib: or(set.input_mib, default.input_mib),
        output_mib: or(set.output_mib, default.output_mib),
        log_kib: or(set.log_kib, default.log_kib),
    }
}

/// What the calls of this policy may use.
pub(super) fn limits_of(config: &Config, name: &str) -> Limits {
    let entry = config.policy(name).and_then(Result::ok);
    limits(entry.map_or(config.settings.policy_limits, |entry| config.limits(entry)))
}

fn built_in(config: &Config, name: &str) -> Source {
    Source {
        name: name.to_owned(),
        component: ComponentSource::BuiltIn(name.to_owned()),
        config: "{}".to_owned(),
        limits: limits(config.settings.policy_limits),
    }
}
