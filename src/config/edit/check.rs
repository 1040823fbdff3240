//! Did an edit do what was meant and no more? Judged by the reader of the config, not by
//! the editor.

use std::path::Path;

use super::text::{self, Edited};
use super::{Choice, Edit, NewAgent, SetPolicy};
use crate::config::model::{Agent, AgentCache, Config};
use crate::config::node::{Entries, Kind, Node};
use crate::config::paths;

/// True where the texts differ by the edit and nothing else. `before` is the tree of the
/// text that was edited, `after` what is read now.
pub(super) fn did_what_was_meant(
    before: Node<'_>,
    after: (Node<'_>, Config),
    edited: &Edited,
    edit: &Edit,
) -> bool {
    let (tree, config) = after;
    text::comments(&edited.text).as_ref() == Some(&edited.comments)
        && all_is_as_meant(&config, edit)
        && values_are_kept(before, tree, edit)
}

/// Apart from what the edit is about both trees hold the same, in the same order.
fn values_are_kept(before: Node<'_>, after: Node<'_>, edit: &Edit) -> bool {
    match (rest(before, edit), rest(after, edit)) {
        (Some(before), Some(after)) => all_same(&before, &after),
        _ => false,
    }
}

/// What is left of the top level without what the edit is about; mappings on the way to it
/// that are empty then are none.
fn rest<'t>(mut root: Node<'t>, edit: &Edit) -> Option<Entries<'t>> {
    for path in edit.paths() {
        strip(&mut root, &path)?;
    }
    entries(root)
}

fn strip(node: &mut Node<'_>, path: &[&str]) -> Option<()> {
    let Some((key, deeper)) = path.split_first() else { return Some(()) };
    let mut within = entries(std::mem::replace(node, Node::null()))?;
    for (name, value) in &mut within {
        if name.as_text() == Some(key) {
            strip(value, deeper)?;
        }
    }
    let goes = |value: &Node<'_>| deeper.is_empty() || value.is_empty();
    within.retain(|(name, value)| name.as_text() != Some(key) || !goes(value));
    if !within.is_empty() {
        node.kind = Kind::Mapping(within);
    }
    Some(())
}

/// The entries of a mapping, or of nothing.
fn entries(node: Node<'_>) -> Option<Entries<'_>> {
    match node.kind {
        Kind::Mapping(entries) => Some(entries),
        Kind::Null => Some(Vec::new()),
        _ => None,
    }
}

/// Do they hold the same? Where they stand does not count.
fn same(left: &Node<'_>, right: &Node<'_>) -> bool {
    match (&left.kind, &right.kind) {
        (Kind::Mapping(left), Kind::Mapping(right)) => all_same(left, right),
        (Kind::List(left), Kind::List(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Kind::Float(left), Kind::Float(right)) => left.to_bits() == right.to_bits(),
        (left, right) => left == right,
    }
}

fn all_same(left: &Entries<'_>, right: &Entries<'_>) -> bool {
    let pairs = left.iter().zip(right);
    left.len() == right.len()
        && pairs.into_iter().all(|(left, right)| same(&left.0, &right.0) && same(&left.1, &right.1))
}

/// What was added is read as it was meant, and what was removed is gone.
fn all_is_as_meant(after: &Config, edit: &Edit) -> bool {
    match edit {
        Edit::AddAgents(agents) => agents.iter().all(|agent| {
            matches!(after.agents.get(&agent.name), Some(Ok(read)) if *read == meant(agent))
        }),
        Edit::RemoveAgent(name) => after.agents.get(name).is_none(),
        Edit::SetPolicy(policy) => policy_is_as_meant(after, policy),
        Edit::RemovePolicy(name, choices) => {
            after.policies.get(name).is_none()
                && choices.iter().all(|choice| chosen(after, choice) != Some(name))
        }
    }
}

fn policy_is_as_meant(after: &Config, policy: &SetPolicy) -> bool {
    let Some(Ok(entry)) = after.policies.get(&policy.name) else { return false };
    let component = policy.component.as_ref().map(|written| {
        let folder = after.file.parent().unwrap_or(Path::new("/"));
        paths::tidy(&folder.join(written))
    });
    let config = policy.config.clone().map(serde_json::Value::Object);
    component.is_none_or(|component| entry.component == Some(component))
        && config.is_none_or(|config| entry.config == config)
        && policy.choices.iter().all(|choice| chosen(after, choice) == Some(&policy.name))
}

/// The policy that is chosen there.
fn chosen<'c>(config: &'c Config, choice: &Choice) -> Option<&'c str> {
    if let Some(agent) = &choice.agent {
        let policies = &config.agent(agent).ok()?.policies;
        return match choice.kind {
            "prompt" => policies.prompt.as_deref(),
            "describe" => policies.describe.as_deref(),
            _ => None,
        };
    }
    let policies = &config.settings.policies;
    match choice.kind {
        "prompt" => Some(&policies.prompt),
        "describe" => Some(&policies.describe),
        "aggregate" => Some(&policies.aggregate),
        "dialogue" => Some(&policies.dialogue),
        _ => None,
    }
}

fn meant(agent: &NewAgent) -> Agent {
    Agent {
        name: agent.name.clone(),
        directory: paths::tidy(&agent.directory),
        description: agent.description.clone(),
        timeout_seconds: agent.timeout,
        max_budget_usd: agent.max_budget_usd,
        model: agent.model.clone(),
        permission_mode: agent.permission_mode.clone(),
        allowed_tools: agent.allowed_tools.clone(),
        disallowed_tools: agent.disallowed_tools.clone(),
        command: None,
        strict_mcp: false,
        setting_sources: None,
        background_tasks: false,
        keep_background: false,
        cache: AgentCache::default(),
        policies: agent.policies.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loader;

    const BEFORE: &str =
        "# top\nagents:\n  a: {directory: /a} # one\n  # two\n  b: {directory: /b}\nx: [1, 2.0]\n";

    /// Would this text pass as what the edit made?
    fn passes(after: &str, edit: &Edit) -> bool {
        let loader = Loader::new("/agents.yaml");
        let (before, _) = loader.understand(BEFORE).expect("a config");
        let made = text::apply(BEFORE, edit).expect("an edit");
        let edited = Edited { text: after.to_owned(), ..made };
        let after = loader.understand(after);
        after.is_ok_and(|after| did_what_was_meant(before, after, &edited, edit))
    }

    #[test]
    fn an_edit_that_adds_adds_and_no_more() {
        let new = NewAgent { name: "n".to_owned(), directory: "/n".into(), ..NewAgent::default() };
        let edit = Edit::AddAgents(vec![new]);
        let good = BEFORE.replace("x:", "  n: {directory: /n, description: ''}\nx:");
        assert!(passes(&good, &edit));
        for (part, instead) in [
            ("# two\n", "\n"),
            ("# one", "# on"),
            ("# top\n", "# top\n# new\n"),
            ("/b", "/c"),
            ("[1, 2.0]", "[1, 2.1]"),
            ("[1, 2.0]", "[1]"),
            ("x:", "y:"),
            ("{directory: /n,", "{directory: /m,"),
            ("description: ''", "description: x"),
            ("  n:", "  m:"),
            ("x: [1, 2.0]", "x: [1, 2.0]\ny: 1"),
            ("x: [1, 2.0]", "x: ["),
        ] {
            let bad = good.replacen(part, instead, 1);
            assert_ne!(bad, good);
            assert!(!passes(&bad, &edit), "{bad}");
        }
        assert!(!passes(BEFORE, &edit));
    }

    #[test]
    fn an_edit_that_removes_removes_and_no_more() {
        let edit = Edit::RemoveAgent("a".to_owned());
        let good = BEFORE.replace("  a: {directory: /a} # one\n", "");
        // What stands on the entry's own line goes with it, what stands below does not.
        assert!(passes(&good, &edit));
        assert!(!passes(&good.replace("  # two\n", ""), &edit));
        let all = "# top\n# one\n# two\nagents: {}\nx: [1, 2.0]\n";
        assert!(!passes(all, &edit), "b is gone too");
        assert!(!passes(BEFORE, &edit));
    }
}
