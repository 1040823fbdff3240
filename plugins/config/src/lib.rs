//! The config of a policy that has none. A crate of its own, as the bindings of two kinds
//! must not meet in one component.

/// Accepts the config of a policy that has none: `{}`, or nothing at all.
///
/// The error says what is wrong and what would be right; `policy` is the name to
/// put into it.
pub fn none(policy: &str, config: &str) -> Result<(), String> {
    let inside = config.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if matches!(config.trim(), "" | "null") || inside.is_some_and(|inside| inside.trim().is_empty())
    {
        return Ok(());
    }
    Err(format!(
        "the policy `{policy}` has no settings, so its `config` must be empty: remove it or write `config: {{}}`"
    ))
}
