//! The file as a tree that keeps what a derived type would lose: the order of
//! entries, keys that stand twice, and where each value was written.
//!
//! The parser tells positions only in errors. So every value gets the number of
//! its visit, and [`locate`] finds the position of a number by reading the text
//! again and failing at that visit. Only files with something to report pay for it.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess};
use serde::de::{VariantAccess, Visitor};

/// The most values a file may hold once its aliases are written out. The parser's
/// own limit counts jumps to anchors, not what lies behind them.
const MOST_VALUES: u32 = 250_000;

/// The most bytes of text a file may hold once its aliases are written out.
const MOST_TEXT: usize = 16 * 1024 * 1024;

/// One value of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'t> {
    /// The number of its visit, for [`locate`].
    pub(super) id: u32,
    pub(super) kind: Kind<'t>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'t> {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    /// Entries as written, repeated keys included.
    Mapping(Entries<'t>),
    /// A value with a tag of the file's own (`!name`), which nothing here reads.
    Tagged(String),
}

impl Node<'_> {
    /// No value, as it stands nowhere.
    pub(super) fn null() -> Self {
        Self { id: 0, kind: Kind::Null }
    }

    /// The value as text, if it is text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Does it hold nothing: null, `""`, `[]` or `{}`?
    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Text(text) => text.is_empty(),
            Kind::List(items) => items.is_empty(),
            Kind::Mapping(entries) => entries.is_empty(),
            Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Tagged(_) => false,
        }
    }
}

/// The value in the words of an error message.
impl fmt::Display for Node<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Null => formatter.write_str("empty"),
            Kind::Bool(value) => value.fmt(formatter),
            Kind::Integer(value) => value.fmt(formatter),
            Kind::Float(value) => value.fmt(formatter),
            Kind::Text(text) if text.chars().count() > 40 => {
                let start: String = text.chars().take(40).collect();
                write!(formatter, "the text {start:?}…")
            }
            Kind::Text(text) => write!(formatter, "the text {text:?}"),
            Kind::List(_) => formatter.write_str("a list"),
            Kind::Mapping(_) => formatter.write_str("a mapping"),
            Kind::Tagged(tag) => write!(formatter, "a value with the tag !{tag}"),
        }
    }
}

/// A place in the file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    /// The place where a text ends.
    pub(super) fn after(text: &str) -> Self {
        let last_line = text.rsplit('\n').next().unwrap_or_default();
        Self { line: text.matches('\n').count() + 1, column: last_line.chars().count() + 1 }
    }

    /// Where the parser says an error is.
    pub(super) fn of(error: &serde_yaml::Error) -> Option<Self> {
        error.location().map(|location| Self { line: location.line(), column: location.column() })
    }
}

/// Reads the whole text.
pub(super) fn parse(text: &str) -> Result<Node<'_>, serde_yaml::Error> {
    walk(text, None)
}

/// Where the value with this number stands in the text it was read from.
pub(super) fn locate(text: &str, id: u32) -> Option<Position> {
    Position::of(&walk(text, Some(id)).err()?)
}

fn walk(text: &str, stop_at: Option<u32>) -> Result<Node<'_>, serde_yaml::Error> {
    let walk = Walk { values: Cell::new(0), text: Cell::new(0), stop_at };
    Visit(&walk).deserialize(serde_yaml::Deserializer::from_str(text))
}

/// Numbers the values as they are met, and fails at one of them if asked to.
struct Walk {
    values: Cell<u32>,
    text: Cell<usize>,
    stop_at: Option<u32>,
}

impl Walk {
    /// Takes the next number.
    fn number<E: de::Error>(&self) -> Result<u32, E> {
        let id = self.values.get();
        if self.stop_at == Some(id) {
            return Err(E::custom("the value that was looked for"));
        }
        if id == MOST_VALUES {
            return Err(E::custom(format_args!(
                "more than {MOST_VALUES} values once aliases are written out"
            )));
        }
        self.values.set(id + 1);
        Ok(id)
    }

    fn leaf<'t, E: de::Error>(&self, kind: Kind<'t>) -> Result<Node<'t>, E> {
        let id = self.number()?;
        Ok(Node { id, kind })
    }

    fn text<'t, E: de::Error>(&self, text: Cow<'t, str>) -> Result<Node<'t>, E> {
        let total = self.text.get().saturating_add(text.len());
        if total > MOST_TEXT {
            return Err(E::custom(format_args!(
                "more than {} MiB of text once aliases are written out",
                MOST_TEXT / 1024 / 1024
            )));
        }
        self.text.set(total);
        self.leaf(Kind::Text(text))
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Visit<'w>(&'w Walk);

impl<'de> DeserializeSeed<'de> for Visit<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Visit<'_> {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node<'de>, E> {
        self.0.leaf(Kind::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node<'de>, E> {
        self.0.leaf(Kind::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node<'de>, E> {
        self.0.leaf(Kind::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node<'de>, E> {
        self.0.leaf(Kind::Integer(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node<'de>, E> {
        self.0.leaf(Kind::Integer(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Node<'de>, E> {
        self.0.leaf(Kind::Integer(value))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Node<'de>, E> {
        // Beyond every bound there is: that it is too large is all that matters.
        self.0.leaf(Kind::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node<'de>, E> {
        self.0.leaf(Kind::Float(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Node<'de>, E> {
        self.0.text(Cow::Borrowed(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node<'de>, E> {
        self.0.text(Cow::Owned(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node<'de>, A::Error> {
        let id = self.0.number()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self)? {
            items.push(item);
        }
        let kind = Kind::List(items);
        Ok(Node { id, kind })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Node<'de>, A::Error> {
        let id = self.0.number()?;
        let mut entries = Vec::new();
        let mut merged = Vec::new();
        while let Some(key) = mapping.next_key_seed(self)? {
            let value = mapping.next_value_seed(self)?;
            match merge_sources(&key, value) {
                Ok(sources) => merged.extend(sources),
                Err(value) => entries.push((key, value)),
            }
        }
        if !merged.is_empty() {
            merge(&mut entries, merged);
        }
        let kind = Kind::Mapping(entries);
        Ok(Node { id, kind })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node<'de>, A::Error> {
        let id = self.0.number()?;
        let (tag, content) = tagged.variant::<String>()?;
        content.newtype_variant_seed(self)?;
        let kind = Kind::Tagged(tag);
        Ok(Node { id, kind })
    }
}

/// The entries of a mapping.
pub(super) type Entries<'t> = Vec<(Node<'t>, Node<'t>)>;

/// The entries that `<<: *anchor` or `<<: [*one, *two]` brings in; any other value comes back.
fn merge_sources<'t>(key: &Node<'_>, value: Node<'t>) -> Result<Entries<'t>, Node<'t>> {
    if key.as_text() != Some("<<") {
        return Err(value);
    }
    match value.kind {
        Kind::Mapping(entries) => Ok(entries),
        Kind::List(items) if items.iter().all(|item| matches!(item.kind, Kind::Mapping(_))) => {
            let sources = items.into_iter().filter_map(|item| match item.kind {
                Kind::Mapping(entries) => Some(entries),
                _ => None,
            });
            Ok(sources.flatten().collect())
        }
        kind => Err(Node { id: value.id, kind }),
    }
}

/// Adds what a mapping does not say itself; of several sources the first one counts.
fn merge<'t>(entries: &mut Entries<'t>, merged: Entries<'t>) {
    let own = entries.iter().filter_map(|(key, _)| key.as_text());
    let mut known: HashSet<String> = own.map(str::to_owned).collect();
    for (key, value) in merged {
        if key.as_text().is_none_or(|name| known.insert(name.to_owned())) {
            entries.push((key, value));
        }
    }
}
