//! Did an edit do what was meant and no more? Judged by the reader of the config, not by
//! the editor.

use super::text::{self, Edited};
use super::{Edit, NewAgent};
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
        && agents_are_as_meant(&config, edit)
        && values_are_kept(before, tree, edit)
}

/// Apart from the agents of the edit both trees hold the same, in the same order.
fn values_are_kept(before: Node<'_>, after: Node<'_>, edit: &Edit) -> bool {
    let is_edited = |name: &str| match edit {
        Edit::AddAgents(agents) => agents.iter().any(|agent| agent.name == name),
        Edit::RemoveAgent(removed) => removed == name,
    };
    match (rest(before, is_edited), rest(after, is_edited)) {
        (Some(before), Some(after)) => all_same(&before, &after),
        _ => false,
    }
}

/// What is left of the top level without those agents; a section without agents is none.
fn rest(root: Node<'_>, is_edited: impl Fn(&str) -> bool) -> Option<Entries<'_>> {
    let mut top = entries(root)?;
    for (key, value) in &mut top {
        if key.as_text() == Some("agents") {
            let agents = std::mem::replace(value, Node::null());
            let mut agents = entries(agents)?;
            agents.retain(|(name, _)| !name.as_text().is_some_and(&is_edited));
            if !agents.is_empty() {
                value.kind = Kind::Mapping(agents);
            }
        }
    }
    top.retain(|(key, value)| key.as_text() != Some("agents") || !value.is_empty());
    Some(top)
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
fn agents_are_as_meant(after: &Config, edit: &Edit) -> bool {
    match edit {
        Edit::AddAgents(agents) => agents.iter().all(|agent| {
            matches!(after.agents.get(&agent.name), Some(Ok(read)) if *read == meant(agent))
        }),
        Edit::RemoveAgent(name) => after.agents.get(name).is_none(),
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
