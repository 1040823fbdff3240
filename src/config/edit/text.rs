//! Making an edit in the text, and what it may take with it.

use std::ops::Range;

use yaml_edit::{Document, Mapping, MappingBuilder, MappingEntry, ScalarValue, YamlFile};

use super::{Edit, NewAgent};

/// A text after an edit.
pub(super) struct Edited {
    pub(super) text: String,
    /// The comments that have to be in it, in their order: those of the text before, but for
    /// the ones inside entries that the edit removes. Comments above such an entry and below
    /// its last line are outside.
    pub(super) comments: Vec<String>,
}

/// Makes the edit; none where the editor cannot.
pub(super) fn apply(text: &str, edit: &Edit) -> Option<Edited> {
    let file = read(text)?;
    let comments = match edit {
        Edit::AddAgents(agents) => {
            let comments = outside(&file, &[]);
            agents.iter().try_for_each(|agent| add(&file, agent))?;
            comments
        }
        Edit::RemoveAgent(name) => {
            let agents = agents(&file)?;
            let entries = agents.entries().filter(|entry| entry.key_matches(&**name));
            let removed: Vec<_> = entries.map(|entry| lines_of(&entry, text)).collect();
            let comments = outside(&file, &removed);
            agents.remove(&**name)?;
            // A name that stands twice was one agent.
            while agents.remove(&**name).is_some() {}
            comments
        }
    };
    Some(Edited { text: file.to_string(), comments })
}

/// The comments of a text, in its order.
pub(super) fn comments(text: &str) -> Option<Vec<String>> {
    Some(outside(&read(text)?, &[]))
}

/// The comments that are in none of these parts.
fn outside(file: &YamlFile, parts: &[Range<usize>]) -> Vec<String> {
    let outside = file.comments().filter(|comment| {
        let start = usize::from(comment.syntax().text_range().start());
        !parts.iter().any(|part| part.contains(&start))
    });
    outside.map(|comment| comment.text().to_owned()).collect()
}

fn read(text: &str) -> Option<YamlFile> {
    let parsed = YamlFile::parse(text);
    (!parsed.has_errors()).then(|| parsed.tree())
}

fn agents(file: &YamlFile) -> Option<Mapping> {
    file.document()?.get_mapping("agents")
}

fn add(file: &YamlFile, agent: &NewAgent) -> Option<()> {
    let entry = entry(agent).as_mapping()?;
    // `{}` would have all that is added on its one line.
    if let Some(agents) = agents(file).filter(|agents| !agents.is_empty()) {
        agents.set(scalar(&agent.name), entry);
    } else {
        let agents = Mapping::new();
        agents.set(scalar(&agent.name), entry);
        file.ensure_document().set("agents", agents);
    }
    Some(())
}

/// A text as it is written: plain where no reader can take it for anything else, be it one
/// of YAML 1.1, as the Python tool's is. There `1:30`, `1_000` and `2026-11-24` are no texts.
fn scalar(text: &str) -> ScalarValue {
    const NO_TEXTS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(|each| each.is_ascii_alphanumeric() || " ,.;/_-()".contains(each))
        && !text.ends_with(' ')
        && !NO_TEXTS.contains(&text.to_ascii_lowercase().as_str());
    if is_word {
        ScalarValue::plain(text)
    } else if text
        .chars()
        .all(|each| each == ' ' || each.is_alphanumeric() || each.is_ascii_punctuation())
    {
        ScalarValue::single_quoted(text)
    } else {
        ScalarValue::double_quoted(text)
    }
}

/// The entry of an agent, its keys in the order of `examples/agents.yaml`.
fn entry(agent: &NewAgent) -> Document {
    let NewAgent { directory, description, timeout, model, max_budget_usd, .. } = agent;
    let mut entry = MappingBuilder::new()
        .pair("directory", scalar(&directory.to_string_lossy()))
        .pair("description", scalar(description));
    if let Some(timeout) = timeout {
        entry = entry.pair("timeout", i64::from(*timeout));
    }
    if let Some(budget) = max_budget_usd {
        entry = entry.pair("max_budget_usd", *budget);
    }
    for (key, text) in [("model", model), ("permission_mode", &agent.permission_mode)] {
        if let Some(text) = text {
            entry = entry.pair(key, scalar(text));
        }
    }
    for (key, tools) in
        [("allowed_tools", &agent.allowed_tools), ("disallowed_tools", &agent.disallowed_tools)]
    {
        if let Some(tools) = tools {
            entry = entry.sequence(key, |list| {
                tools.iter().fold(list, |list, tool| list.item(scalar(tool)))
            });
        }
    }
    let policies = [("prompt", &agent.policies.prompt), ("describe", &agent.policies.describe)];
    if policies.iter().any(|(_, policy)| policy.is_some()) {
        entry = entry.mapping("policies", |mut chosen| {
            for (kind, policy) in policies {
                if let Some(policy) = policy {
                    chosen = chosen.pair(kind, scalar(policy));
                }
            }
            chosen
        });
    }
    entry.build_document()
}

/// From an entry's beginning to the end of the last line that has something of it.
fn lines_of(entry: &MappingEntry, text: &str) -> Range<usize> {
    let position = entry.byte_range();
    let (start, end) = (position.start as usize, position.end as usize);
    let (mut at, mut last) = (start, start);
    for line in text.get(start..end).unwrap_or_default().split_inclusive('\n') {
        at += line.len();
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            last = at;
        }
    }
    // The line may go on behind the entry: `}  # end`.
    start..last
}
