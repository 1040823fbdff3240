//! All that a practice agent can do: look for words in files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that are read, and bytes of each, at the most.
const FILES: usize = 200;
const FILE_BYTES: u64 = 64 << 10;

/// What a search for the words of a text came to.
pub(super) struct Search {
    /// The words, as far as they are in any file.
    pub(super) words: Vec<String>,
    /// The files that were read.
    pub(super) files: Vec<String>,
    /// Lines with any of the words, those with most first, each with its place.
    pub(super) found: Vec<String>,
}

impl Search {
    /// Searches the files below this directory.
    pub(super) fn of(directory: &Path, text: &str) -> Self {
        let wanted = words(text);
        let (mut files, mut present) = (Vec::new(), BTreeSet::new());
        let mut found: Vec<(usize, String)> = Vec::new();
        for path in files_below(directory) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let file = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            for (index, line) in text.lines().enumerate() {
                let matching: Vec<_> = wanted.intersection(&words(line)).cloned().collect();
                if !matching.is_empty() {
                    let line = format!("{file}:{}: {}", index + 1, line.trim());
                    found.push((matching.len(), line));
                    present.extend(matching);
                }
            }
            files.push(file);
        }
        found.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
        let found = found.into_iter().map(|(_, line)| line).collect();
        Self { words: present.into_iter().collect(), files, found }
    }
}

/// The words of a text that are worth searching for.
fn words(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| word.chars().count() > 4)
        .map(str::to_lowercase)
        .collect()
}

/// The project's files in the order of their names.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let Ok(metadata) = entry.metadata() else { continue };
            if hidden || files.len() >= FILES {
                continue;
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() && metadata.len() <= FILE_BYTES {
                files.push(entry.path());
            }
        }
    }
    files
}
