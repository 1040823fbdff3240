//! Where things lie on disk.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

/// The environment variable that names the config file.
pub(crate) const CONFIG_VARIABLE: &str = "AGENT_DISPATCH_CONFIG";

/// The folders and files of this program; all paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The user's home folder.
    pub home: PathBuf,
    /// Did the environment name the config file?
    pub is_config_named: bool,
    /// The config file. It need not exist.
    pub config_file: PathBuf,
    /// The folder for what can be made again, such as compiled components. It need not exist.
    pub cache_folder: PathBuf,
    /// The folder for what this program has to remember or share. It need not exist.
    pub state_folder: PathBuf,
}

/// Nobody said where the user's home folder is.
#[derive(Debug, thiserror::Error)]
#[error("the home folder is unknown: set HOME to an absolute path")]
pub struct NoHome;

impl Paths {
    /// The user's own paths: `AGENT_DISPATCH_CONFIG` or
    /// `~/.config/agent-dispatch/agents.yaml` on every platform, as the Python tool
    /// has it, and `agent-dispatch` in the XDG cache and state directories.
    pub fn from_environment() -> Result<Self, NoHome> {
        let folders = Xdg::new().map_err(|_| NoHome)?;
        let named = std::env::var_os(CONFIG_VARIABLE);
        // On the platforms of this program XDG always has a state directory.
        let state = folders.state_dir().ok_or(NoHome)?;
        Self::resolve(named, folders.home_dir(), &folders.cache_dir(), &state)
    }

    fn resolve(
        named: Option<OsString>,
        home: &Path,
        cache: &Path,
        state: &Path,
    ) -> Result<Self, NoHome> {
        if !home.is_absolute() {
            return Err(NoHome);
        }
        let named = named.filter(|named| !named.is_empty());
        let is_config_named = named.is_some();
        let config_file = match named {
            Some(named) => absolute(expand_home(Path::new(&named), Some(home))),
            None => home.join(".config/agent-dispatch/agents.yaml"),
        };
        let [cache_folder, state_folder] =
            [cache, state].map(|folder| folder.join("agent-dispatch"));
        let home = home.to_owned();
        Ok(Self { home, is_config_named, config_file, cache_folder, state_folder })
    }
}

/// The user's home folder, if it is known.
pub(super) fn home() -> Option<PathBuf> {
    etcetera::home_dir().ok().filter(|home| home.is_absolute())
}

/// A path as people write it: `~` is the home folder, and a relative one begins at the
/// working directory.
pub fn expand_path(path: &Path) -> PathBuf {
    absolute(expand_home(path, home().as_deref()))
}

/// The path seen from the working directory, if there still is one.
pub(super) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Replaces a leading `~`.
pub(super) fn expand_home(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => tidy(&home.join(rest)),
        _ => path.to_owned(),
    }
}

/// Drops `.` and doubled slashes; `..` stays, because of symlinks.
pub(super) fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(named: Option<&str>, home: &str) -> Result<Paths, NoHome> {
        let (cache, state) = (Path::new("/var/cache/ada"), Path::new("/var/state/ada"));
        Paths::resolve(named.map(OsString::from), Path::new(home), cache, state)
    }

    fn config_file(named: Option<&str>) -> PathBuf {
        resolve(named, "/home/ada").expect("an absolute home").config_file
    }

    #[test]
    fn the_default_is_the_python_tools() {
        let default = Path::new("/home/ada/.config/agent-dispatch/agents.yaml");
        assert_eq!(config_file(None), default);
        assert_eq!(config_file(Some("")), default);
    }

    #[test]
    fn the_variable_names_the_file() {
        assert_eq!(config_file(Some("/etc/a.yaml")), Path::new("/etc/a.yaml"));
        assert_eq!(config_file(Some("~/a.yaml")), Path::new("/home/ada/a.yaml"));
        assert_eq!(config_file(Some("~bob/a.yaml")).file_name(), Some("a.yaml".as_ref()));
        let here = std::env::current_dir().expect("a working directory");
        assert_eq!(config_file(Some("a.yaml")), here.join("a.yaml"));
    }

    #[test]
    fn the_folders_are_our_own() {
        let paths = resolve(None, "/home/ada").expect("an absolute home");
        assert_eq!(paths.state_folder, Path::new("/var/state/ada/agent-dispatch"));
        assert_eq!(paths.cache_folder, Path::new("/var/cache/ada/agent-dispatch"));
    }

    #[test]
    fn a_relative_home_is_refused() {
        assert!(resolve(None, "").is_err());
    }
}
