//! A second version beside the first: a made-up one, spoken by this test alone.

use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, InstancePre, Linker, Resource};

use self::bindings::PromptPolicyPre;
use self::bindings::agent_dispatch::policy::{host, types};
use super::v0_1::V0_1;
use super::{Call, Version};
use crate::policy::bindings::agent_dispatch::policy::types::PolicyError;
use crate::policy::call::call;
use crate::policy::component::{Loaded, link};
use crate::policy::error::Failure;
use crate::policy::limits::Limits;
use crate::policy::metadata::Metadata;
use crate::policy::project::View;
use crate::policy::ready::Returned;
use crate::policy::source::Stamp;
use crate::policy::state::State;
use crate::policy::{aggregate, describe, dialogue, engine, prompt};

mod bindings {
    wasmtime::component::bindgen!({ path: "tests/wit/0.2.0", world: "prompt-policy" });
}

struct V0_2;

impl host::Host for State {
    fn log(&mut self, level: host::Level, message: String) {
        use crate::policy::bindings::agent_dispatch::policy::host::{Host, Level};
        let level = match level {
            host::Level::Trace => Level::Debug,
            host::Level::Loud => Level::Warn,
        };
        Host::log(self, level, message);
    }
}

impl types::Host for State {}

fn instance(call: &mut Call<'_>) -> wasmtime::Result<bindings::PromptPolicy> {
    let world = PromptPolicyPre::new(InstancePre::clone(&call.loaded.instance))?;
    let instance = world.instantiate(&mut *call.store)?;
    call.store.data_mut().set_instantiated();
    Ok(instance)
}

fn converted<T, U>(
    returned: Result<T, types::PolicyError>,
    convert: impl FnOnce(T) -> U,
) -> Result<U, PolicyError> {
    returned.map(convert).map_err(|error| match error {
        types::PolicyError::Failed(said) => PolicyError::Failed(said),
        types::PolicyError::Later(said) => PolicyError::Failed(format!("later: {said}")),
    })
}

fn request(request: &prompt::Request) -> types::Request {
    types::Request { urgency: "soon".to_owned(), task: request.task.clone() }
}

impl Version for V0_2 {
    fn number(&self) -> &'static str {
        "0.2.0"
    }

    fn add_to_linker(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        host::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
    }

    fn check(&self, call: &mut Call<'_>, _kind: &'static str) -> Returned<()> {
        let instance = instance(call)?;
        let guest = instance.agent_dispatch_policy_prompt();
        Ok(converted(guest.call_check(&mut *call.store, call.config)?, |()| ()))
    }

    fn render(&self, call: &mut Call<'_>, asked: &prompt::Request) -> Returned<prompt::Rendered> {
        let instance = instance(call)?;
        let guest = instance.agent_dispatch_policy_prompt();
        let rendered = guest.call_render(&mut *call.store, call.config, &request(asked))?;
        Ok(converted(rendered, |rendered| prompt::Rendered { user: rendered.user, system: None }))
    }

    fn interpret(
        &self,
        call: &mut Call<'_>,
        asked: &prompt::Request,
        reply: &prompt::Reply,
    ) -> Returned<prompt::Interpretation> {
        let instance = instance(call)?;
        let guest = instance.agent_dispatch_policy_prompt();
        let reply = types::Reply { text: reply.text.clone() };
        let text = guest.call_interpret(&mut *call.store, call.config, &request(asked), &reply)?;
        Ok(converted(text, |text| prompt::Interpretation {
            edit: prompt::Edit::Replace(text),
            outcome: None,
            hint: None,
            parsed: None,
        }))
    }

    fn describe(&self, _: &mut Call<'_>, _: Resource<View>) -> Returned<describe::Said> {
        unreachable!("this version has one kind")
    }

    fn aggregate(&self, _: &mut Call<'_>, _: &aggregate::Seen) -> Returned<aggregate::Decision> {
        unreachable!("this version has one kind")
    }

    fn dialogue(&self, _: &mut Call<'_>, _: &dialogue::Seen) -> Returned<dialogue::Decision> {
        unreachable!("this version has one kind")
    }
}

const BOTH: &[&dyn Version] = &[&V0_2, &V0_1];

const NEXT: &[u8] = include_bytes!("../../../tests/policies/next.wasm");
const FIRST: &[u8] = include_bytes!("../../../plugins/built/classic.wasm");

/// Loads a component in a host that speaks these versions.
fn load(bytes: &[u8], versions: &[&'static dyn Version]) -> Result<Arc<Loaded>, Failure> {
    // One that compiles: the host's own has another process do it.
    let engine = engine::compiler().expect("an engine");
    let component = Component::new(&engine, bytes).expect("a component");
    let (instance, version) = link(&engine, &component, prompt::KIND, versions)?;
    let identity = Arc::new(Metadata::of(bytes, &"0".repeat(64)).identity);
    Ok(Arc::new(Loaded { identity, stamp: Stamp::default(), instance, version }))
}

/// What a policy makes of a call.
async fn calls<T: Send + 'static>(
    loaded: &Arc<Loaded>,
    body: impl FnOnce(&mut Call<'_>) -> Returned<T> + Send + 'static,
) -> Result<T, PolicyError> {
    let body = move |store: &mut wasmtime::Store<State>, loaded: &Loaded| {
        body(&mut Call { store, loaded, config: "{}" })
    };
    let called = call(Arc::clone(loaded), "it".to_owned(), Limits::default(), body).await;
    called.unwrap_or_else(|failure| panic!("{failure}"))
}

fn asked() -> prompt::Request {
    let agent = prompt::Agent {
        name: "infra".to_owned(),
        directory: "/infra".to_owned(),
        description: None,
        capabilities: Vec::new(),
        instructions: None,
        facts: Vec::new(),
    };
    prompt::Request {
        agent,
        task: "Why?".to_owned(),
        context: None,
        caller: None,
        goal: None,
        shared_context: None,
        answer_format: "text".to_owned(),
        timeout_seconds: 300,
        spend_cap_usd: None,
        depth: 0,
        resumed: false,
        facts: Vec::new(),
    }
}

fn replied() -> prompt::Reply {
    prompt::Reply {
        success: true,
        text: "because".to_owned(),
        size: 7,
        complete: true,
        error_type: None,
        error: None,
        outcome: None,
        parsed: None,
        cost_usd: None,
        duration_ms: None,
        turns: None,
        facts: Vec::new(),
    }
}

#[tokio::test]
async fn components_of_two_versions_work_side_by_side() {
    let (first, next) =
        (load(FIRST, BOTH).expect("the first"), load(NEXT, BOTH).expect("the next"));
    assert_eq!([first.version.number(), next.version.number()], ["0.1.0", "0.2.0"]);
    for (loaded, rendered, interpreted) in
        [(first, "Why?", "because"), (next, "soon: Why?", "BECAUSE")]
    {
        calls(&loaded, |call| call.loaded.version.check(call, prompt::KIND)).await.expect("usable");
        let user = calls(&loaded, |call| call.loaded.version.render(call, &asked())).await;
        assert!(user.expect("a prompt").user.contains(rendered), "{rendered}");
        let interpret =
            |call: &mut Call<'_>| call.loaded.version.interpret(call, &asked(), &replied());
        let text = match calls(&loaded, interpret).await.expect("a meaning").edit {
            prompt::Edit::Replace(text) => text,
            _ => replied().text,
        };
        assert_eq!(text, interpreted);
    }
}

#[test]
fn a_version_that_nobody_speaks_is_named() {
    let error = load(NEXT, super::ALL).err().expect("nobody speaks it").to_string();
    let part = "is made for the interface 0.2.0; this agent-dispatch offers 0.1.0";
    assert!(error.contains(part), "{error}");
}
