//! A policy's project on disk, as `policy.yaml` in it tells.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::Language;
use crate::config::{NAMES, is_name};
use crate::dispatch::Refusal;

/// What says that a folder is a policy's project.
const FILE: &str = "policy.yaml";

pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) name: String,
    pub(super) language: Language,
    /// The world of `wit/` that it is built for.
    pub(super) world: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    language: Language,
    world: String,
}

impl Project {
    /// The project in this folder.
    pub(super) fn read(folder: &Path) -> Result<Self, Refusal> {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            let problem = format!("{} is no project of a policy: {FILE} in it cannot be read: {error}", folder.display());
            Refusal::new(problem).with_hint("Give the folder of one as an argument; 'agent-dispatch policy new NAME --kind prompt --lang rust' makes one.")
        })?;
        let written: Written = serde_yaml::from_str(&text).map_err(|error| {
            Refusal::new(format!("{} cannot be read: {error}", file.display()))
                .with_hint("It has name, language (rust, javascript or python) and world.")
        })?;
        let Written { name, language, world } = written;
        if !is_name(&name) {
            return Err(Refusal::new(format!(
                "{}: the name {name:?} cannot be one",
                file.display()
            ))
            .with_hint(NAMES));
        }
        Ok(Self { folder: folder.to_owned(), name, language, world })
    }

    /// Where its component is once it is built, whatever the language.
    pub(super) fn component(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }

    /// A source that was changed after the component was built.
    pub(super) fn changed(&self) -> Option<PathBuf> {
        let built = modified(&self.component())?;
        let files = [self.language.source(), "Cargo.toml", "build.mjs"];
        let files = files.into_iter().map(|file| self.folder.join(file));
        files.into_iter().find(|file| modified(file).is_some_and(|written| written > built))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}
