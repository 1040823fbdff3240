//! A project as the rules see it: files by their paths.

use std::collections::BTreeMap;

use crate::bindings::agent_dispatch::policy::project_view;

/// The largest file that is read as a whole, in bytes. People write none that is larger,
/// and what is smaller cannot use up the time and the memory of a call.
const WHOLE: u32 = 256 << 10;
/// The most that is read of a file whose first lines matter, in bytes.
const BEGINNING: u32 = 64 << 10;

/// The files of one project.
pub trait Project {
    /// The name of its directory.
    fn name(&self) -> String;
    /// The whole text of a file; none where there is none, where it is larger than 256 KiB
    /// or where it is no text.
    fn text(&self, path: &str) -> Option<String>;
    /// The beginning of a file's text, 64 KiB at most.
    fn beginning(&self, path: &str) -> Option<String>;
    /// Is there anything of this name?
    fn has(&self, path: &str) -> bool;
    /// Is there a directory of this name?
    fn has_directory(&self, path: &str) -> bool;
}

impl Project for project_view::Project {
    fn name(&self) -> String {
        project_view::Project::name(self)
    }

    fn text(&self, path: &str) -> Option<String> {
        let read = self.read(path, WHOLE).ok()?;
        (read.utf8 && read.complete).then_some(read.text)
    }

    fn beginning(&self, path: &str) -> Option<String> {
        let read = self.read(path, BEGINNING).ok()?;
        read.utf8.then_some(read.text)
    }

    fn has(&self, path: &str) -> bool {
        self.look(path).is_ok()
    }

    fn has_directory(&self, path: &str) -> bool {
        let directory = project_view::EntryKind::Directory;
        self.look(path).is_ok_and(|entry| entry.kind == directory)
    }
}

/// A project for tests of rules: paths and texts; a path that ends in `/` is a directory.
#[derive(Debug, Default)]
pub struct InMemory(pub BTreeMap<&'static str, &'static str>);

impl InMemory {
    /// A project named `demo` with these files.
    pub fn of(files: &[(&'static str, &'static str)]) -> Self {
        Self(files.iter().copied().collect())
    }
}

impl Project for InMemory {
    fn name(&self) -> String {
        "demo".to_owned()
    }

    fn text(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|text| (*text).to_owned())
    }

    fn beginning(&self, path: &str) -> Option<String> {
        self.text(path)
    }

    fn has(&self, path: &str) -> bool {
        self.0.contains_key(path) || self.has_directory(path)
    }

    fn has_directory(&self, path: &str) -> bool {
        self.0.keys().any(|key| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// The lines of a text, at everything that Python takes for a line's end.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = |character: char| {
        matches!(
            character,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(ends) else { return rest.take() };
        let after = text[end..].strip_prefix("\r\n").unwrap_or_else(|| {
            let mut after = text[end..].chars();
            after.next();
            after.as_str()
        });
        rest = Some(after).filter(|after| !after.is_empty());
        Some(&text[..end])
    })
}
