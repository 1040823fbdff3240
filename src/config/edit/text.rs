//! Making an edit in the text, and what it may take with it.

use std::ops::Range;

use yaml_edit::{AsYaml, Document, Mapping, MappingBuilder, MappingEntry, ScalarValue, YamlFile};

use super::{Choice, Edit, NewAgent, SetPolicy};

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
        Edit::SetPolicy(policy) => {
            let comments = outside(&file, &[]);
            set_policy(&file, policy)?;
            comments
        }
        Edit::RemovePolicy(name, choices) => {
            let entry = ["policies", name.as_str()];
            let choices: Vec<Vec<&str>> = choices.iter().map(Choice::path).collect();
            let paths = choices.iter().map(Vec::as_slice).chain([&entry[..]]);
            let removed: Vec<_> = paths
                .clone()
                .flat_map(|path| entries_at(&file, path))
                .map(|entry| lines_of(&entry, text))
                .collect();
            let emptied = emptied(&file, &choices);
            let emptied = emptied.iter().flat_map(|path| entries_at(&file, path));
            let emptied: Vec<_> = emptied.map(|entry| lines_of(&entry, text)).collect();
            let comments = outside(&file, &[removed, emptied].concat());
            paths.for_each(|path| take(&file, path));
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

/// Gives a policy what is set of it, and has it chosen.
fn set_policy(file: &YamlFile, policy: &SetPolicy) -> Option<()> {
    let SetPolicy { name, component, config, choices } = policy;
    // JSON is YAML too, as far as it is written without pairs of escapes.
    let config = config.as_ref().map(serde_json::to_string).transpose().ok()?;
    let is_there = entries_at(file, &["policies", name]).next().is_some();
    if is_there {
        if let Some(component) = component {
            set(file, &["policies", name], "component", &scalar(component))?;
        }
        if let Some(config) = &config {
            set(file, &["policies", name], "config", &read(config)?.document()?.as_mapping()?)?;
        }
    } else {
        let mut entry = MappingBuilder::new();
        if let Some(component) = component {
            entry = entry.pair("component", scalar(component));
        }
        if let Some(config) = &config {
            entry = entry.pair("config", read(config)?.document()?.as_mapping()?);
        }
        set(file, &["policies"], name, &entry.build_document().as_mapping()?)?;
    }
    for choice in choices {
        let path = choice.path();
        let (kind, place) = path.split_last()?;
        set(file, place, kind, &scalar(name))?;
    }
    Some(())
}

/// Sets a key of the mapping to which these keys lead; those that are not there are made.
fn set(file: &YamlFile, path: &[&str], key: &str, value: &dyn AsYaml) -> Option<()> {
    let mut place: Option<Mapping> = None;
    let mut made = 0;
    for (depth, step) in path.iter().enumerate() {
        let next = match &place {
            None => file.document().and_then(|document| document.get_mapping(*step)),
            Some(mapping) => mapping.get_mapping(*step),
        };
        // `{}` would have all that is added on its one line.
        let Some(next) = next.filter(|next| !next.is_empty()) else { break };
        place = Some(next);
        made = depth + 1;
    }
    let mut steps: Vec<&str> = path[made..].iter().copied().chain([key]).collect();
    let first = steps.remove(0);
    let Some(last) = steps.pop() else {
        place?.set(scalar(first), value);
        return Some(());
    };
    let innermost = Mapping::new();
    innermost.set(scalar(last), value);
    let whole = steps.iter().rev().fold(innermost, |inner, step| {
        let outer = Mapping::new();
        outer.set(scalar(step), inner);
        outer
    });
    match place {
        Some(mapping) => mapping.set(scalar(first), whole),
        None => drop(file.ensure_document().set(scalar(first), whole)),
    }
    Some(())
}

/// The mapping to which these keys lead.
fn mapping_at(file: &YamlFile, path: &[&str]) -> Option<Mapping> {
    let (first, rest) = path.split_first()?;
    let root = file.document()?.get_mapping(*first)?;
    rest.iter().try_fold(root, |mapping, step| mapping.get_mapping(*step))
}

/// The entries at this path; more than one where a key stands twice.
fn entries_at(file: &YamlFile, path: &[&str]) -> impl Iterator<Item = MappingEntry> {
    let (key, place) = path.split_last().unwrap_or((&"", &[]));
    let key = (*key).to_owned();
    let mapping = mapping_at(file, place);
    let entries: Vec<MappingEntry> = mapping.iter().flat_map(Mapping::entries).collect();
    entries.into_iter().filter(move |entry| entry.key_matches(key.as_str()))
}

/// The mappings of choices in which nothing is left when these are gone.
fn emptied<'p>(file: &YamlFile, choices: &'p [Vec<&'p str>]) -> Vec<&'p [&'p str]> {
    let places = choices.iter().filter_map(|path| Some(path.split_last()?.1));
    let is_emptied = |place: &&[&str]| {
        let goes = |entry: MappingEntry| {
            let mut keys = choices.iter().filter_map(|path| path.split_last());
            keys.any(|(key, of)| of == *place && entry.key_matches(*key))
        };
        mapping_at(file, place).is_some_and(|mapping| mapping.entries().all(goes))
    };
    places.filter(is_emptied).collect()
}

/// Removes what stands at this path, and what it leaves empty of a choice of policies.
fn take(file: &YamlFile, path: &[&str]) {
    let Some((key, place)) = path.split_last() else { return };
    let Some(mapping) = mapping_at(file, place) else { return };
    while mapping.remove(*key).is_some() {}
    if mapping.is_empty()
        && let Some((key, above)) = place.split_last()
        && let Some(above) = mapping_at(file, above)
    {
        above.remove(*key);
    }
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
