//! Things that several share by a name, for as long as somebody has one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::lock::lock;

/// What is shared, by its name. Names come from callers: one that nobody uses any more
/// is forgotten.
pub(super) struct ByName<T>(Mutex<HashMap<String, Weak<T>>>);

impl<T> ByName<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The one with this name, made where there is none.
    pub(super) fn get(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = lock(&self.0);
        all.retain(|_, one| one.strong_count() > 0);
        if let Some(one) = all.get(name).and_then(Weak::upgrade) {
            return one;
        }
        let one = Arc::new(make());
        all.insert(name.to_owned(), Arc::downgrade(&one));
        one
    }
}
