//! What the policy reads of its config.

use serde::Deserialize;

const EXAMPLE: &str = r#"{"house": ["Tests first."], "packages": [{"path": "libs/ui", "rules": ["No new colours."]}]}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Rules for all of the repository.
    #[serde(default)]
    pub(crate) house: Vec<String>,
    pub(crate) packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// Relative to the agent's directory.
    pub(crate) path: String,
    name: Option<String>,
    pub(crate) rules: Vec<String>,
}

impl Config {
    /// The config, or what is wrong with it and what would be right.
    pub(crate) fn read(json: &str) -> Result<Self, String> {
        let mut config: Self = serde_json::from_str(json)
            .map_err(|error| format!("{error}; a config looks like this: {EXAMPLE}"))?;
        if config.packages.is_empty() {
            return Err(format!("`packages` is empty; a config looks like this: {EXAMPLE}"));
        }
        for package in &mut config.packages {
            let path = package.path.trim_start_matches("./").trim_end_matches('/');
            if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..")
            {
                return Err(format!(
                    "the package path '{}' has to lead from the agent's directory into a folder of it, as libs/ui does",
                    package.path
                ));
            }
            if package.rules.is_empty() {
                return Err(format!(
                    "the package {path} has no `rules`; give it one, or leave it out"
                ));
            }
            package.path = path.to_owned();
        }
        Ok(config)
    }
}

impl Package {
    /// Its name, if it has one, and where it lies.
    pub(crate) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.path),
            None => self.path.clone(),
        }
    }
}
