//! How a policy can fail, as the person who chose it reads it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::bindings::VERSION;
use super::text;

/// A policy could not be used, or failed in a call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("policy '{policy}'{identity}: {failure}")]
pub struct PolicyError {
    /// The name under which it was asked for.
    pub policy: String,
    /// Which component that is; empty where it was never loaded.
    pub identity: Arc<Identity>,
    /// What went wrong.
    pub failure: Failure,
}

/// What a component calls itself, and what it is.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// From the component's metadata.
    pub name: Option<String>,
    /// From the component's metadata.
    pub version: Option<String>,
    /// SHA-256 of the component's bytes, in hex.
    pub digest: String,
}

impl fmt::Display for Identity {
    /// ` (name version, first 12 of the digest)`, as far as they are known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(digest) = self.digest.get(..12) else {
            return Ok(());
        };
        f.write_str(" (")?;
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
            if let Some(version) = &self.version {
                write!(f, "{version} ")?;
            }
        }
        write!(f, "{digest})")
    }
}

/// What went wrong with a policy.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The name is no built-in policy of that kind.
    #[error("there is no built-in {kind} policy of that name; built in: {available}")]
    NoSuchBuiltIn {
        /// The kind that was asked for.
        kind: &'static str,
        /// The names there are.
        available: String,
    },
    /// The component's file could not be read.
    #[error("cannot read its component {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The component is not the one that was installed.
    #[error("{0}")]
    Changed(Box<Changed>),
    /// The bytes are no component, or none that this host can run.
    #[error("{0}")]
    Unusable(String),
    /// It could not be compiled.
    #[error("its component does not compile: {0}")]
    Compile(String),
    /// The policy said that its config is wrong.
    #[error("its config is not usable: {0}")]
    InvalidConfig(String),
    /// The policy said that it cannot serve the request.
    #[error("it cannot serve this request: {0}")]
    Unsupported(String),
    /// The policy gave up, in its own words.
    #[error("it failed: {0}")]
    Failed(String),
    /// What it decided makes no sense.
    #[error("its decision cannot be used: {0}")]
    BadDecision(String),
    /// A limit was hit.
    #[error(
        "it was stopped at the limit {limit} = {value}; `limits` in its entry or `settings.policy_limits` can change it"
    )]
    Limit {
        /// The key under `limits`.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// A request that is too long to be put into words without losing some.
    #[error(
        "the request has {size} bytes of text, more than the limit input_mib = {value}; `limits` in the policy's entry or `settings.policy_limits` can change it"
    )]
    TooLong {
        /// The size of all its texts, in bytes.
        size: usize,
        /// The limit, in MiB.
        value: u64,
    },
    /// A bound that no config can change was hit.
    #[error("it was stopped: more than {bound}")]
    Bound {
        /// The bound, with its value.
        bound: String,
    },
    /// It trapped.
    #[error("it crashed: {message}{}", quoted(stderr))]
    Trap {
        /// The trap.
        message: String,
        /// The last that it wrote to standard error.
        stderr: String,
    },
    /// The host could not do its part.
    #[error("{0}")]
    Host(String),
}

/// A component that is not the one that was installed.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "its component {file} is not the one that was installed: policies.lock has the digest {installed}, and the file {found}. To use it all the same, install it again: agent-dispatch policy add {name} FILE"
)]
pub struct Changed {
    /// The policy.
    pub name: String,
    /// The file.
    pub file: String,
    /// The digest under which it was installed.
    pub installed: String,
    /// The digest that it has.
    pub found: String,
}

impl Failure {
    /// The failure of a component that is not the one that was installed under this name.
    pub fn changed(name: &str, file: &Path, installed: &str, found: &str) -> Self {
        Self::Changed(Box::new(Changed {
            name: name.to_owned(),
            file: file.display().to_string(),
            installed: installed.to_owned(),
            found: found.to_owned(),
        }))
    }

    /// The failure of a component whose shapes are not those of the interface.
    pub(super) fn misfit(error: &wasmtime::Error) -> Self {
        let reason = text::shown(&format!("{error:#}"), text::SAID);
        Self::Unusable(format!("its component does not fit the interface {VERSION}: {reason}"))
    }
}

fn quoted(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it wrote: {stderr}") }
}
