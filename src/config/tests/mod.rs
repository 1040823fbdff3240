//! The room as its callers see it: a file goes in, a config or an error comes out.

mod agents;
mod broken;
mod edits;
mod loader;
mod policies;
mod settings;

use std::path::PathBuf;

use super::{Config, LoadError, Loader, Problem, ProblemKind};

/// A config file in a folder of its own, gone at the end of the test.
struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = Self { folder };
        file.write(content);
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("agents.yaml")
    }

    fn write(&self, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(), content).expect("a writable folder");
    }

    fn load(&self) -> Result<Config, LoadError> {
        Loader::new(self.path()).load().map(|config| (*config).clone())
    }
}

/// The config that a text says.
fn config(text: &str) -> Config {
    File::new(text).load().expect("a text that can be loaded")
}

/// Why a text cannot be loaded, without the file's folder.
fn load_error(content: impl AsRef<[u8]>) -> String {
    let file = File::new(content);
    let error = file.load().expect_err("a text that cannot be loaded");
    let folder = format!("{}/", file.folder.path().display());
    error.to_string().replace(&folder, "")
}

/// A problem in one line, without its file: `line:column key: message`.
fn line(problem: &Problem) -> String {
    let number = |number: Option<usize>| number.map_or("?".to_owned(), |n| n.to_string());
    let (line, column) = (number(problem.line), number(problem.column));
    format!("{line}:{column} {}: {}", problem.key, problem.message)
}

/// Is there more to say of it than that some keys have no effect yet?
fn is_wrong(config: &Config) -> bool {
    config.problems.iter().any(|problem| problem.kind != ProblemKind::NotBuiltYet)
}

/// All problems of a text.
fn problems(text: &str) -> Vec<(ProblemKind, String)> {
    let config = config(text);
    let problems = config.problems.iter();
    problems.map(|problem| (problem.kind, line(problem))).collect()
}

/// The only problem of a text.
fn problem(text: &str) -> (ProblemKind, String) {
    let mut problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}
