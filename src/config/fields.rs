//! One mapping of the file, read key by key.

use std::collections::BTreeMap;

use super::lax::Invalid;
use super::node::{Kind, Node};
use super::problem::{Fault, ProblemKind, Report};
use super::words;

/// The keys of a mapping and their values. Where a key is repeated the last one counts.
pub(super) struct Fields<'n> {
    path: String,
    at: u32,
    entries: &'n [(Node<'n>, Node<'n>)],
    values: BTreeMap<&'n str, &'n Node<'n>>,
    repeated: Vec<&'n Node<'n>>,
}

impl<'n> Fields<'n> {
    /// Reads a mapping; `path` is the dotted path of its key. Null is an empty mapping.
    pub(super) fn new(path: impl Into<String>, node: &'n Node<'n>) -> Result<Self, Fault> {
        let path = path.into();
        let entries: &[_] = match &node.kind {
            Kind::Null => &[],
            Kind::Mapping(entries) => entries,
            _ => {
                let message = format!("must be a mapping of keys to values, but is {node}");
                let invalid = Invalid::new(node, message);
                return Err(Fault { key: path, invalid });
            }
        };
        let mut values = BTreeMap::new();
        let mut repeated = Vec::new();
        for (key, value) in entries {
            if let Some(name) = key.as_text()
                && values.insert(name, value).is_some()
            {
                repeated.push(key);
            }
        }
        Ok(Self { path, at: node.id, entries, values, repeated })
    }

    /// The dotted path of one of its keys.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node<'n>> {
        let node = self.values.get(key).copied();
        node.filter(|node| node.kind != Kind::Null)
    }

    /// Reads the value of a key. One that is absent or null is `None`.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Node<'_>) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Fault> {
        let value = self.get(key).map(read).transpose();
        value.map_err(|invalid| Fault { key: self.path_of(key), invalid })
    }

    /// Reads the value of a key that must be there.
    pub(super) fn required<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Node<'_>) -> Result<T, Invalid>,
    ) -> Result<T, Fault> {
        self.optional(key, read)?.ok_or_else(|| Fault {
            key: self.path_of(key),
            invalid: Invalid { at: self.at, message: "is missing".to_owned() },
        })
    }

    /// Fails if a key stands more than once.
    pub(super) fn refuse_repeated(&self) -> Result<(), Fault> {
        self.repeated.first().map_or(Ok(()), |key| {
            Err(Fault {
                key: self.path_of(key.as_text().unwrap_or_default()),
                invalid: Invalid::new(key, "stands here twice; keep one of the two"),
            })
        })
    }

    /// Reports the keys that stand more than once.
    pub(super) fn report_repeated(&self, report: &mut Report<'_>) {
        for key in &self.repeated {
            let path = self.path_of(key.as_text().unwrap_or_default());
            let message = "stands more than once; the last one counts";
            report.add(ProblemKind::Duplicate, path, key.id, message);
        }
    }

    /// Reports the keys that mean nothing, and those of `later` that mean nothing yet.
    /// `family` is the path under which the latter are named, for example `agents.*`.
    pub(super) fn report_unknown(
        &self,
        known: &[&str],
        later: &[&str],
        family: &str,
        report: &mut Report<'_>,
    ) {
        for (key, value) in self.entries {
            let name = key.as_text().map_or_else(|| key.to_string(), str::to_owned);
            if known.contains(&name.as_str()) {
                continue;
            }
            if later.contains(&name.as_str()) {
                if !value.is_empty() {
                    let separator = if family.is_empty() { "" } else { "." };
                    report.not_built_yet(&format!("{family}{separator}{name}"), key.id);
                }
                continue;
            }
            let candidates = known.iter().chain(later);
            let message = match words::nearest(&name, candidates) {
                Some(near) => {
                    format!("is not a key of agents.yaml and is ignored; did you mean '{near}'?")
                }
                None => "is not a key of agents.yaml and is ignored".to_owned(),
            };
            report.add(ProblemKind::UnknownKey, self.path_of(&name), key.id, message);
        }
    }
}
