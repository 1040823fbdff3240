//! One policy's entry, and the limits that stand in it and in the settings.

use std::ops::RangeInclusive;

use super::Anchor;
use crate::config::fields::Fields;
use crate::config::lax::{self, Invalid};
use crate::config::model::{LimitOverrides, OnError, PolicyEntry};
use crate::config::node::Node;
use crate::config::problem::{Fault, Report};

/// The keys of a policy.
const KEYS: &[&str] = &["component", "config", "limits", "on_error", "may_ask"];

/// The keys of limits.
pub(super) const LIMITS: &[&str] =
    &["timeout_ms", "memory_mib", "input_mib", "output_mib", "log_kib"];

/// Reads one policy.
pub(super) fn read(
    fields: &Fields<'_>,
    anchor: &Anchor,
    report: &mut Report<'_>,
) -> Result<PolicyEntry, Fault> {
    fields.report_unknown(KEYS, &[], "policies.*", report);
    fields.refuse_repeated()?;
    let config = fields.optional("config", lax::json)?;
    Ok(PolicyEntry {
        component: fields.optional("component", |node| anchor.path(node))?,
        config: config.unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new())),
        limits: own_limits(fields, report)?,
        on_error: fields.optional("on_error", on_error)?.unwrap_or_default(),
        may_ask: fields.optional("may_ask", lax::words)?.unwrap_or_default(),
    })
}

fn on_error(node: &Node<'_>) -> Result<OnError, Invalid> {
    match node.as_text() {
        Some("fail") => Ok(OnError::Fail),
        Some("fallback") => Ok(OnError::Fallback),
        _ => Err(Invalid::new(node, format!("must be fail or fallback, but is {node}"))),
    }
}

fn own_limits(fields: &Fields<'_>, report: &mut Report<'_>) -> Result<LimitOverrides, Fault> {
    let Some(node) = fields.get("limits") else {
        return Ok(LimitOverrides::default());
    };
    let chosen = Fields::new(fields.path_of("limits"), node)?;
    chosen.report_unknown(LIMITS, &[], "", report);
    chosen.refuse_repeated()?;
    limits(|key, range| chosen.optional(key, lax::whole(range)))
}

/// Reads every limit within bounds in which it makes sense.
pub(super) fn limits<E>(
    mut read: impl FnMut(&'static str, RangeInclusive<u32>) -> Result<Option<u32>, E>,
) -> Result<LimitOverrides, E> {
    Ok(LimitOverrides {
        timeout_ms: read("timeout_ms", 1..=600_000)?,
        memory_mib: read("memory_mib", 1..=4096)?,
        input_mib: read("input_mib", 1..=256)?,
        output_mib: read("output_mib", 1..=256)?,
        log_kib: read("log_kib", 1..=16_384)?,
    })
}
