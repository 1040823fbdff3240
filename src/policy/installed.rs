//! The components that were installed: `policies/` beside the config, and `policies.lock`,
//! which says for each of them by which digest it is known.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::private_file;

/// The format that is written, and the newest that is read.
const VERSION: u32 = 1;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

const HEAD: &str = "\
# The components in policies/, by the SHA-256 of each. 'agent-dispatch policy add NAME FILE' writes
# this file: a component that was changed by other hands is not used.
";

/// The folder of installed components and the file that vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Installed {
    folder: PathBuf,
    lock: PathBuf,
}

/// What `policies.lock` says.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lock {
    version: u32,
    /// By the policy's name.
    #[serde(default)]
    components: BTreeMap<String, Line>,
}

/// By which digests one component is known, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its digest.
    pub sha256: String,
    /// The digest of the file that this one takes the place of; there only while that is
    /// being done, when either may lie there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
}

impl Line {
    /// Is a component with this digest the one that was installed?
    pub fn vouches_for(&self, digest: &str) -> bool {
        self.sha256 == digest || self.was.as_deref() == Some(digest)
    }
}

impl Installed {
    /// What is installed beside this config file; nothing need be there.
    pub fn beside(config: &Path) -> Self {
        Self {
            folder: config.with_file_name("policies"),
            lock: config.with_file_name("policies.lock"),
        }
    }

    /// The file that vouches for the components.
    pub fn lock_file(&self) -> &Path {
        &self.lock
    }

    /// Where the component of this policy lies, or would.
    pub fn component(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_added_extension("wasm")
    }

    /// The policy whose component lies here, if that is in the folder.
    pub fn name_of<'p>(&self, component: &'p Path) -> Option<&'p str> {
        let is_here = component.parent() == Some(&self.folder);
        component.file_name()?.to_str()?.strip_suffix(".wasm").filter(|_| is_here)
    }

    /// Puts a component into the folder, in one step and for this user alone. Blocks.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        private_file::create_folder(&self.folder)?;
        private_file::replace(&self.component(name), bytes)
    }

    /// Takes a component out of the folder; true where there was one. Blocks.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn take(&self, name: &str) -> io::Result<bool> {
        match std::fs::remove_file(self.component(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// What the lock file says; nothing where it is not there. Blocks.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, with its path: nothing vouches for the components then.
    pub fn lock(&self) -> Result<Lock, String> {
        let path = self.lock.display();
        let text = match self.lock.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lock::default()),
            Ok(data) if !data.is_file() => return Err(format!("{path} is no file")),
            Ok(data) if data.len() > LONGEST => return Err(format!("{path} is too long")),
            _ => std::fs::read_to_string(&self.lock),
        };
        let text = text.map_err(|error| format!("{path} cannot be read: {error}"))?;
        let version: Version = serde_yaml::from_str(&text)
            .map_err(|error| format!("{path} cannot be understood: {error}"))?;
        if version.version > VERSION {
            return Err(format!(
                "{path} has the format {}, and this agent-dispatch knows {VERSION}; use the newer one",
                version.version
            ));
        }
        serde_yaml::from_str(&text).map_err(|error| format!("{path} cannot be understood: {error}"))
    }

    /// Writes the lock file, in one step. Blocks.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write(&self, lock: &Lock) -> io::Result<()> {
        let lines = Lock { version: VERSION, components: lock.components.clone() };
        let text = serde_yaml::to_string(&lines).map_err(io::Error::other)?;
        private_file::replace(&self.lock, format!("{HEAD}{text}").as_bytes())
    }
}

/// What every format of the file has.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Lock {
    /// What is known of this policy's component.
    pub fn line(&self, name: &str) -> Option<&Line> {
        self.components.get(name)
    }

    /// The same to be changed; `None` forgets it.
    pub fn set(&mut self, name: &str, line: Option<Line>) {
        match line {
            Some(line) => drop(self.components.insert(name.to_owned(), line)),
            None => drop(self.components.remove(name)),
        }
    }

    /// The policies whose components are known.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }
}
