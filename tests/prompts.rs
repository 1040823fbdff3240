//! The built-in prompt policies, byte for byte: the components that the binary
//! embeds, driven through the interface and without the rest of the program.

use std::path::Path;
use std::sync::LazyLock;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

mod classic;
mod xml;

mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic)]
    wasmtime::component::bindgen!({ path: "wit/0.1.0", world: "prompt-policy", additional_derives: [PartialEq] });
}
use bindings::PromptPolicy;
use bindings::agent_dispatch::policy::{host, types};
use bindings::exports::agent_dispatch::policy::prompt::{Edit, Interpretation, Rendered};
use types::{Agent, PolicyError, Reply, Request, SharedContext};

struct NoLog;
impl types::Host for NoLog {}
impl host::Host for NoLog {
    fn log(&mut self, _level: host::Level, _message: String) {}
}

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);
static CLASSIC: LazyLock<Component> = LazyLock::new(|| component("classic"));
static XML: LazyLock<Component> = LazyLock::new(|| component("xml"));

fn component(name: &str) -> Component {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/built");
    Component::from_file(&ENGINE, built.join(name).with_extension("wasm")).unwrap()
}

/// A fresh instance, as for every call.
fn instance(component: &Component) -> (Store<NoLog>, PromptPolicy) {
    let mut linker = Linker::new(&ENGINE);
    PromptPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).unwrap();
    let mut store = Store::new(&ENGINE, NoLog);
    let policy = PromptPolicy::instantiate(&mut store, component, &linker).unwrap();
    (store, policy)
}

fn render(component: &Component, request: &Request) -> Rendered {
    let (mut store, policy) = instance(component);
    policy.agent_dispatch_policy_prompt().call_render(&mut store, "{}", request).unwrap().unwrap()
}

fn prompt(component: &Component, request: &Request) -> String {
    render(component, request).user
}

fn interpret(component: &Component, answer_format: &str, text: &str) -> Interpretation {
    interpret_reply(component, answer_format, text, true)
}

/// `complete` is false for a text that the host had to cut.
fn interpret_reply(
    component: &Component,
    answer_format: &str,
    text: &str,
    complete: bool,
) -> Interpretation {
    let (mut store, policy) = instance(component);
    let request = Request { answer_format: answer_format.into(), ..request("t") };
    let reply = Reply {
        success: true,
        text: text.into(),
        size: text.len() as u64,
        complete,
        error_type: None,
        error: None,
        outcome: None,
        parsed: None,
        cost_usd: None,
        duration_ms: None,
        turns: None,
        facts: vec![],
    };
    let prompt = policy.agent_dispatch_policy_prompt();
    prompt.call_interpret(&mut store, "{}", &request, &reply).unwrap().unwrap()
}

fn check(component: &Component, config: &str) -> Result<(), PolicyError> {
    let (mut store, policy) = instance(component);
    policy.agent_dispatch_policy_prompt().call_check(&mut store, config).unwrap()
}

fn request(task: &str) -> Request {
    Request {
        agent: Agent {
            name: "infra".into(),
            directory: "/srv/infra".into(),
            description: None,
            capabilities: vec![],
            instructions: None,
            facts: vec![],
        },
        task: task.into(),
        context: None,
        caller: None,
        goal: None,
        shared_context: None,
        answer_format: "text".into(),
        timeout_seconds: 300,
        spend_cap_usd: None,
        depth: 0,
        resumed: false,
        facts: vec![],
    }
}

fn with_context(task: &str, context: &str) -> Request {
    Request { context: Some(context.into()), ..request(task) }
}

fn shared(text: &str) -> SharedContext {
    SharedContext { group: "shop".into(), text: text.into(), facts: Vec::new() }
}

mod both {
    use super::*;

    #[test]
    fn standing_instructions_go_to_the_system_prompt() {
        for policy in [&CLASSIC, &XML] {
            assert_eq!(render(policy, &request("Why?")).system, None);
            let mut request = request("Why?");
            request.agent.instructions = Some(" Be brief.\n".into());
            let rendered = render(policy, &request);
            assert_eq!(
                rendered.system.as_deref(),
                Some("## Standing instructions for \"infra\"\nBe brief.")
            );
            assert!(!rendered.user.contains("brief"));
        }
    }

    #[test]
    fn a_reply_stays_as_it_is_and_json_is_found_where_it_was_wanted() {
        for policy in [&CLASSIC, &XML] {
            for (text, parsed) in [
                (" {\"a\": [1]}\n", Some("{\"a\": [1]}")),
                ("```json\n{\"a\": 1}\n```\n", Some("{\"a\": 1}")),
                ("```\n1", Some("1")),
                ("```json\n[\n]\n  ```", Some("[\n]")),
                ("null", Some("null")),
                ("Here it is: {}", None),
                ("{\"a\": NaN}", None),
                ("```", None),
                ("```\n```", None),
                ("", None),
            ] {
                let interpretation = interpret(policy, "json", text);
                assert_eq!(interpretation.parsed.as_deref(), parsed, "{text:?}");
                assert_eq!(interpretation.edit, Edit::Keep);
                assert_eq!((interpretation.outcome, interpretation.hint), (None, None));
            }
            assert_eq!(interpret(policy, "text", "{}").parsed, None);
        }
    }

    #[test]
    fn deeply_nested_json_does_not_end_the_call() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(interpret(&CLASSIC, "json", &deep).parsed, Some(deep));
    }

    #[test]
    fn a_cut_reply_is_not_taken_for_the_json_answer() {
        for policy in [&CLASSIC, &XML] {
            assert_eq!(interpret_reply(policy, "json", "[1, 2]", false).parsed, None);
        }
    }

    #[test]
    fn only_an_empty_config_fits() {
        for (policy, name) in [(&CLASSIC, "`classic`"), (&XML, "`xml`")] {
            for config in ["{}", " { \n} ", "null", ""] {
                assert_eq!(check(policy, config), Ok(()), "{config:?}");
            }
            for config in ["{\"tag\": 1}", "[]", "\"{}\"", "{", "}"] {
                let Err(PolicyError::InvalidConfig(why)) = check(policy, config) else {
                    panic!("{config} was accepted");
                };
                assert!(why.contains(name) && why.contains("`config: {}`"), "{why}");
            }
        }
    }
}
