//! The kind `describe`: how a project describes itself to those who may ask it.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::Resource;

use super::Host;
use super::bindings::describe::exports::agent_dispatch::policy::describe;
use super::bindings::describe::{DescribePolicy, DescribePolicyPre};
use super::component::Loaded;
use super::error::{Failure, PolicyError};
use super::project::View;
use super::ready::{Ready, Returned};
use super::source::Source;
use super::state::State;
use super::text::{SAID, shown};

/// The kind's name.
pub const KIND: &str = "describe";

/// Most names in a list of a description, and longest of them, in characters.
const NAMES: usize = 200;

/// What a project says of itself, looked through: no text has control characters.
#[derive(Debug)]
pub struct Description {
    /// One line, not empty, at most 2,000 characters.
    pub text: String,
    /// The MCP servers that the project configures.
    pub mcp_servers: Vec<String>,
    /// Languages and platforms.
    pub stacks: Vec<String>,
    /// Databases and migration tools.
    pub databases: Vec<String>,
}

/// A describe policy that is loaded and whose config it has accepted.
pub struct Describe(Ready);

impl Host {
    /// Loads a describe policy and has it check its config.
    ///
    /// # Errors
    ///
    /// Anything that keeps the policy from being used.
    pub async fn describe(self: &Arc<Self>, source: &Source) -> Result<Describe, PolicyError> {
        Ok(Describe(Ready::load(self, source, KIND, check).await?))
    }
}

/// Has a fresh instance check a config.
pub(super) fn check(store: &mut Store<State>, loaded: &Loaded, config: &str) -> Returned<()> {
    instance(store, loaded)?.agent_dispatch_policy_describe().call_check(store, config)
}

/// A fresh instance of the component.
fn instance(store: &mut Store<State>, loaded: &Loaded) -> wasmtime::Result<DescribePolicy> {
    let instance = DescribePolicyPre::new(loaded.instance.clone())?.instantiate(&mut *store)?;
    store.data_mut().set_instantiated();
    Ok(instance)
}

impl Describe {
    /// The policy's name and which component it is, for messages.
    pub fn title(&self) -> String {
        self.0.title()
    }

    /// Describes the project in this directory. `held` is let go when nobody looks at the
    /// directory any more, which on a hanging file system is later than this returns.
    ///
    /// # Errors
    ///
    /// Whatever went wrong with the policy; a directory that cannot be opened too.
    pub async fn describe(
        &self,
        directory: PathBuf,
        held: impl Send + 'static,
    ) -> Result<Description, PolicyError> {
        let config = self.0.config.clone();
        let call = move |store: &mut Store<State>, loaded: &Loaded| {
            let _held = held;
            let view = View::open(&directory).map_err(|error| {
                let directory = directory.display();
                store.data_mut().fail(Failure::Host(format!("cannot look at {directory}: {error}")))
            })?;
            let instance = instance(store, loaded)?;
            store.data_mut().project = Some(view);
            let project = Resource::new_borrow(0);
            instance.agent_dispatch_policy_describe().call_describe(store, &config, project)
        };
        self.looked_through(self.0.call(call).await?)
    }

    fn looked_through(&self, said: describe::Description) -> Result<Description, PolicyError> {
        let text = shown(said.text.trim(), SAID);
        if text.is_empty() {
            let problem = "the description is empty".to_owned();
            return Err(self.0.error(Failure::BadDecision(problem)));
        }
        let names = |names: Vec<String>| {
            let names = names.iter().take(NAMES).map(|name| shown(name.trim(), NAMES));
            names.filter(|name| !name.is_empty()).collect()
        };
        Ok(Description {
            text,
            mcp_servers: names(said.mcp_servers),
            stacks: names(said.stacks),
            databases: names(said.databases),
        })
    }
}
