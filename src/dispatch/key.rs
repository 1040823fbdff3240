//! When two requests ask the same: when they have the same key.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::agent::{Cli, RunRequest};
use crate::policy::{Limits, Source, prompt};

/// The version of [`Decisive`]: keys of different versions never meet.
const FORMAT: u32 = 1;

/// What tells a question from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hexadecimal digits.
impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
impl From<[u8; 32]> for Key {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// All that decides about an answer: what the policy is given and which policy it
/// is, what is run, and who answers. The ids of the run are not in it.
#[derive(Serialize)]
struct Decisive<'a> {
    format: u32,
    run: &'a RunRequest,
    /// Which directory and which program these paths name now.
    directory: Option<[u64; 2]>,
    program: Option<[i64; 7]>,
    environment: &'a [(String, String)],
    request: &'a prompt::Request,
    policy: &'a str,
    policy_config: &'a str,
    policy_limits: Limits,
}

impl Key {
    /// The key of a run for what a policy is given. `digest` is that of the policy's
    /// component. Blocks on the file system.
    pub(super) fn of(
        run: &RunRequest,
        request: &prompt::Request,
        policy: &Source,
        digest: &str,
        environment: &[(String, String)],
    ) -> Option<Self> {
        let decisive = Decisive {
            format: FORMAT,
            run,
            directory: run.directory.metadata().ok().map(|data| [data.dev(), data.ino()]),
            program: run.command.first().and_then(|program| program_of(program)),
            environment,
            request,
            policy: digest,
            policy_config: &policy.config,
            policy_limits: policy.limits,
        };
        let mut digest = Sha256::new();
        // Writing into a digest cannot fail; what cannot be written has no key.
        serde_json::to_writer(&mut digest, &decisive).ok()?;
        Some(Self(digest.finalize().into()))
    }
}

/// Which program this is: another one in its place is another one that answers.
fn program_of(path: &str) -> Option<[i64; 7]> {
    let data = std::fs::metadata(path).ok()?;
    let [device, inode, size] = [data.dev(), data.ino(), data.size()].map(u64::cast_signed);
    let (modified, changed) = (data.mtime(), data.ctime());
    Some([device, inode, size, modified, data.mtime_nsec(), changed, data.ctime_nsec()])
}

/// The variables of this process's environment that decide who answers.
pub(super) fn deciding_environment(cli: &dyn Cli) -> Vec<(String, String)> {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    let mut variables: Vec<_> = std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| cli.decides(name))
        .collect();
    variables.sort_unstable();
    variables
}
