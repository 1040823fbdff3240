//! The paths that a text names.

/// What stands around a path in prose, in code and in error messages.
const AROUND: &str = "\"'`()[]{}<>,;|=";

/// The words of a text as if each were a path, relative to `directory`.
pub(crate) fn named<'t>(text: &'t str, directory: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(|c: char| c.is_whitespace() || AROUND.contains(c)).map(move |word| {
        let inside = word.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
        inside.unwrap_or(word).trim_start_matches("./").trim_end_matches(['.', ':', '!', '?'])
    })
}

/// Is this path the package's, or that of something in it? `libs/ui-kit` is not in `libs/ui`.
pub(crate) fn lies_in(path: &str, package: &str) -> bool {
    // A line number may follow.
    path.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}
