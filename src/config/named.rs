//! A map that keeps the order of the file.

use std::collections::HashMap;

/// Values by name, in the order in which the names first stand in the file.
#[derive(Debug, Clone)]
pub struct Named<T> {
    entries: Vec<(String, T)>,
    places: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashMap::new() }
    }
}

impl<T> Named<T> {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        let place = *self.places.get(name)?;
        self.entries.get(place).map(|(_, value)| value)
    }

    /// All names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there no name at all?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets the value of a name and gives back the one it had.
    pub(super) fn insert(&mut self, name: String, value: T) -> Option<T> {
        if let Some(&place) = self.places.get(&name) {
            return Some(std::mem::replace(&mut self.entries[place].1, value));
        }
        self.places.insert(name.clone(), self.entries.len());
        self.entries.push((name, value));
        None
    }

    /// The names and values in order.
    pub(super) fn into_entries(self) -> Vec<(String, T)> {
        self.entries
    }
}
