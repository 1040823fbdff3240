//! `agent-dispatch:policy@0.1.0`: the newest, so nothing is converted.

use wasmtime::component::{HasSelf, InstancePre, Linker, Resource};

use super::{Call, Version};
use crate::policy::bindings::agent_dispatch::policy::host;
use crate::policy::bindings::aggregate::AggregatePolicyPre;
use crate::policy::bindings::describe::DescribePolicyPre;
use crate::policy::bindings::describe::agent_dispatch::policy::project_view;
use crate::policy::bindings::dialogue::DialoguePolicyPre;
use crate::policy::bindings::{PromptPolicyPre, VERSION};
use crate::policy::project::View;
use crate::policy::ready::Returned;
use crate::policy::state::State;
use crate::policy::{aggregate, describe, dialogue, prompt};

pub(super) struct V0_1;

/// A fresh instance of a call's component, by the world of its kind.
macro_rules! instance {
    ($call:expr, $world:ident) => {{
        let world = $world::new(InstancePre::clone(&$call.loaded.instance))?;
        let instance = world.instantiate(&mut *$call.store)?;
        $call.store.data_mut().set_instantiated();
        instance
    }};
}

impl Version for V0_1 {
    fn number(&self) -> &'static str {
        VERSION
    }

    fn add_to_linker(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        host::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
        project_view::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
    }

    fn check(&self, call: &mut Call<'_>, kind: &'static str) -> Returned<()> {
        match kind {
            prompt::KIND => instance!(call, PromptPolicyPre)
                .agent_dispatch_policy_prompt()
                .call_check(&mut *call.store, call.config),
            describe::KIND => instance!(call, DescribePolicyPre)
                .agent_dispatch_policy_describe()
                .call_check(&mut *call.store, call.config),
            aggregate::KIND => instance!(call, AggregatePolicyPre)
                .agent_dispatch_policy_aggregate()
                .call_check(&mut *call.store, call.config),
            _ => instance!(call, DialoguePolicyPre)
                .agent_dispatch_policy_dialogue()
                .call_check(&mut *call.store, call.config),
        }
    }

    fn render(&self, call: &mut Call<'_>, request: &prompt::Request) -> Returned<prompt::Rendered> {
        instance!(call, PromptPolicyPre).agent_dispatch_policy_prompt().call_render(
            &mut *call.store,
            call.config,
            request,
        )
    }

    fn interpret(
        &self,
        call: &mut Call<'_>,
        request: &prompt::Request,
        reply: &prompt::Reply,
    ) -> Returned<prompt::Interpretation> {
        instance!(call, PromptPolicyPre).agent_dispatch_policy_prompt().call_interpret(
            &mut *call.store,
            call.config,
            request,
            reply,
        )
    }

    fn describe(&self, call: &mut Call<'_>, project: Resource<View>) -> Returned<describe::Said> {
        instance!(call, DescribePolicyPre).agent_dispatch_policy_describe().call_describe(
            &mut *call.store,
            call.config,
            project,
        )
    }

    fn aggregate(
        &self,
        call: &mut Call<'_>,
        seen: &aggregate::Seen,
    ) -> Returned<aggregate::Decision> {
        instance!(call, AggregatePolicyPre).agent_dispatch_policy_aggregate().call_step(
            &mut *call.store,
            call.config,
            seen,
        )
    }

    fn dialogue(&self, call: &mut Call<'_>, seen: &dialogue::Seen) -> Returned<dialogue::Decision> {
        instance!(call, DialoguePolicyPre).agent_dispatch_policy_dialogue().call_step(
            &mut *call.store,
            call.config,
            seen,
        )
    }
}
