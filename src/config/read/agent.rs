//! One agent's entry.

use super::Anchor;
use crate::config::fields::Fields;
use crate::config::lax::{self, Invalid};
use crate::config::model::{Agent, AgentCache, AgentPolicies};
use crate::config::node::{Kind, Node};
use crate::config::problem::{Fault, Report};

/// The keys of an agent.
const KEYS: &[&str] = &[
    "directory",
    "description",
    "timeout",
    "max_budget_usd",
    "model",
    "permission_mode",
    "allowed_tools",
    "disallowed_tools",
    "command",
    "strict_mcp",
    "setting_sources",
    "background_tasks",
    "keep_background",
    "cache",
    "policies",
];

/// Keys that the Python tool 0.16 reads and this version does not.
const LATER: &[&str] = &["capabilities", "risky_capabilities", "instructions"];

/// The settings files of the agent CLI.
const SETTING_SOURCES: [&str; 3] = ["user", "project", "local"];

/// Reads one agent.
pub(super) fn read(
    fields: &Fields<'_>,
    name: &str,
    anchor: &Anchor,
    report: &mut Report<'_>,
) -> Result<Agent, Fault> {
    fields.report_unknown(KEYS, LATER, "agents.*", report);
    fields.refuse_repeated()?;
    let timeout = fields.optional("timeout", lax::whole(0..=u32::MAX))?;
    let budget = fields.optional("max_budget_usd", lax::dollars)?;
    let model = fields.optional("model", lax::text)?;
    let permission_mode = fields.optional("permission_mode", lax::text)?;
    let truth = |key| fields.optional(key, lax::truth);
    Ok(Agent {
        name: name.to_owned(),
        directory: fields.required("directory", |node| anchor.path(node))?,
        description: fields.optional("description", lax::text)?.unwrap_or_default(),
        // In the Python tool zero and empty text mean the same as no key.
        timeout_seconds: timeout.filter(|seconds| *seconds > 0),
        max_budget_usd: budget.filter(|dollars| *dollars > 0.0),
        model: model.filter(|model| !model.is_empty()),
        permission_mode: permission_mode.filter(|mode| !mode.is_empty()),
        allowed_tools: fields.optional("allowed_tools", lax::words)?,
        disallowed_tools: fields.optional("disallowed_tools", lax::words)?,
        command: fields.optional("command", |node| anchor.command(node))?,
        strict_mcp: truth("strict_mcp")?.unwrap_or(false),
        setting_sources: fields.optional("setting_sources", setting_sources)?,
        background_tasks: truth("background_tasks")?.unwrap_or(false),
        keep_background: truth("keep_background")?.unwrap_or(false),
        cache: cache(fields, report)?,
        policies: policies(fields, report)?,
    })
}

/// What the agent CLI knows by these names; others it refuses.
fn setting_sources(node: &Node<'_>) -> Result<Vec<String>, Invalid> {
    let sources = lax::words(node)?;
    match sources.iter().find(|source| !SETTING_SOURCES.contains(&source.as_str())) {
        Some(unknown) => {
            let known = SETTING_SOURCES.join(", ");
            Err(Invalid::new(node, format!("holds '{unknown}'; there are only {known}")))
        }
        None => Ok(sources),
    }
}

/// `false`, or a mapping that says more.
fn cache(fields: &Fields<'_>, report: &mut Report<'_>) -> Result<AgentCache, Fault> {
    let default = AgentCache::default();
    let Some(node) = fields.get("cache") else { return Ok(default) };
    if !matches!(node.kind, Kind::Mapping(_)) {
        let enabled = fields.optional("cache", lax::truth)?.unwrap_or(default.enabled);
        return Ok(AgentCache { enabled, ..default });
    }
    let chosen = Fields::new(fields.path_of("cache"), node)?;
    chosen.report_unknown(&["enabled", "shared"], &[], "agents.*.cache", report);
    chosen.refuse_repeated()?;
    Ok(AgentCache {
        enabled: chosen.optional("enabled", lax::truth)?.unwrap_or(default.enabled),
        shared: chosen.optional("shared", lax::truth)?,
    })
}

fn policies(fields: &Fields<'_>, report: &mut Report<'_>) -> Result<AgentPolicies, Fault> {
    let Some(node) = fields.get("policies") else {
        return Ok(AgentPolicies::default());
    };
    let chosen = Fields::new(fields.path_of("policies"), node)?;
    chosen.report_unknown(&["prompt", "describe"], &[], "agents.*.policies", report);
    chosen.refuse_repeated()?;
    Ok(AgentPolicies {
        prompt: chosen.optional("prompt", lax::word)?,
        describe: chosen.optional("describe", lax::word)?,
    })
}
