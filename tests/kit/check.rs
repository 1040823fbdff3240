//! `policy check`: all that can be wrong with a component, and what is told of a good one.

use std::fs;

use serde_json::{Value, json};

use super::component;
use crate::hostile::guest::Guest;
use crate::support::World;

/// What is found of these bytes.
fn check(world: &World, bytes: &[u8], arguments: &[&str]) -> (Option<i32>, Value) {
    fs::write(world.path("x.wasm"), bytes).expect("a file");
    let all: Vec<&str> = ["policy", "check", "x.wasm", "--json"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let ran = world.run(&all);
    (ran.code, ran.json())
}

fn read(path: &str) -> Vec<u8> {
    fs::read(component(path)).expect("a component")
}

/// The problems of these bytes, each of which has a way out.
fn problems(bytes: &[u8]) -> Vec<String> {
    let (code, found) = check(&World::new(), bytes, &[]);
    let problems = found["problems"].as_array().expect("problems");
    assert_eq!(code, Some(i32::from(!problems.is_empty())), "{found}");
    let text = |problem: &Value, key: &str| problem[key].as_str().expect("a text").to_owned();
    for problem in problems {
        assert!(text(problem, "way_out").len() > 10, "{problem}");
    }
    problems.iter().map(|problem| text(problem, "problem")).collect()
}

#[test]
fn a_good_component_is_described_whole() {
    let world = World::new();
    let bytes = read("tests/policies/trial-wasi.wasm");
    let (code, found) = check(&world, &bytes, &[]);
    assert_eq!(code, Some(0), "{found}");
    let keys: Vec<&str> =
        found.as_object().expect("a mapping").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "file",
            "digest",
            "bytes",
            "kinds",
            "imports",
            "producers",
            "name",
            "version",
            "problems",
            "notes"
        ]
    );
    assert_eq!(found["kinds"], json!([{"kind": "prompt", "version": "0.1.0"}]));
    assert_eq!((&found["name"], &found["version"]), (&json!("trial"), &json!("0.1.0")));
    assert_eq!(found["bytes"], bytes.len());
    assert_eq!(found["digest"].as_str().map(str::len), Some(64));
    let imports = found["imports"].as_array().expect("imports");
    assert!(
        imports
            .iter()
            .any(|one| one["name"].as_str().is_some_and(|name| name.starts_with("wasi:io/")))
    );
    assert!(imports.iter().all(|one| one["allowed"] == true), "{found}");
    let producers = found["producers"].to_string();
    assert!(producers.contains("wit-component 0."), "{producers}");

    let shown = world.run(&["policy", "check", "x.wasm"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for part in ["prompt 0.1.0", "trial 0.1.0", "of WASI", "can use it"] {
        assert!(shown.stdout.contains(part), "{part}: {shown:?}");
    }
}

#[test]
fn what_is_no_component_is_told_apart() {
    let xml = read("plugins/built/xml.wasm");
    for (bytes, part) in [
        (&b""[..], "no WebAssembly component"),
        (b"hello", "no WebAssembly component"),
        (b"\0asm\x01\0\0\0", "a core WebAssembly module"),
        (&xml[..xml.len() / 2], "cannot be read to its end"),
    ] {
        let problems = problems(bytes);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(part), "{part}: {problems:?}");
    }
    let world = World::new();
    let ran = world.run(&["policy", "check", "nothing.wasm", "--json"]);
    assert_eq!((ran.code, &ran.json()["digest"]), (Some(1), &Value::Null), "{ran:?}");
    let sparse = fs::File::create(world.path("large.wasm")).expect("a file");
    sparse.set_len((64 << 20) + 1).expect("a size");
    let ran = world.run(&["policy", "check", "large.wasm", "--json"]);
    let found = ran.json();
    assert_eq!((ran.code, &found["bytes"]), (Some(1), &json!((64 << 20) + 1)), "{ran:?}");
    assert!(found["problems"][0]["problem"].as_str().is_some_and(|it| it.contains("64 MiB")));
}

/// A component that exports this as an interface and imports that, with nothing in either.
fn shell(exports: &str, imports: &[&str]) -> Vec<u8> {
    let imports: Vec<String> =
        imports.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
    let imports = imports.concat();
    let text =
        format!("(component {imports} (instance $empty) (export \"{exports}\" (instance $empty)))");
    wat::parse_str(text).expect("a component")
}

#[test]
fn everything_is_told_at_once() {
    let bytes = shell(
        "agent-dispatch:policy/prompt@0.1.0",
        &[
            "wasi:http/types@0.2.0",
            "wasi:io/poll@0.3.0",
            "env:secret/keys@1.0.0",
            "agent-dispatch:policy/host@0.9.0",
        ],
    );
    let problems = problems(&bytes);
    let parts = [
        "wasi:http/types@0.2.0",
        "wasi:io/poll@0.3.0",
        "env:secret/keys",
        "not 0.9.0",
        "does not fit the interface 0.1.0",
    ];
    assert_eq!(problems.len(), parts.len(), "{problems:?}");
    for (problem, part) in problems.iter().zip(parts) {
        assert!(problem.contains(part), "{part}: {problems:?}");
    }
    let (_, found) = check(&World::new(), &bytes, &[]);
    let allowed =
        found["imports"].as_array().expect("imports").iter().filter(|it| it["allowed"] == true);
    assert_eq!(allowed.count(), 0, "{found}");
}

#[test]
fn what_may_not_be_imported_hides_nothing_else() {
    let fetch = r#"(import "wasi:http/types@0.2.0" "fetch" (func $fetch (param i32 i32 i32)))"#;
    let first = "(call $fetch (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1024)";
    let (imports, first) = (fetch.to_owned(), first.to_owned());
    let guest = Guest { world: "of-wasi", imports, first, ..Guest::prompt() };
    let found = problems(&guest.build());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("wasi:http/types@0.2.0"), "{found:?}");
    // It does not come back from its check: that is told beside it.
    let stuck = Guest { check: "(loop $on (br $on)) (i32.const 512)".to_owned(), ..guest };
    let found = problems(&stuck.build());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains("timeout_ms = 1000"), "{found:?}");
}

#[test]
fn a_policy_of_another_interface_or_of_none_says_what_it_is() {
    for (export, part) in [
        ("agent-dispatch:policy/prompt@0.2.0", "made for prompt of the interface 0.2.0"),
        ("agent-dispatch:policy/prompt@0.1.0-rc1", "made for prompt of the interface 0.1.0-rc1"),
        (
            "agent-dispatch:policy/vote@0.1.0",
            "it is no policy: it exports agent-dispatch:policy/vote@0.1.0",
        ),
        ("wasi:cli/run@0.2.0", "it is no policy: it exports wasi:cli/run@0.2.0"),
    ] {
        let problems = problems(&shell(export, &[]));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(part), "{part}: {problems:?}");
    }
    let (code, found) =
        check(&World::new(), &read("plugins/built/xml.wasm"), &["--kind", "describe"]);
    assert_eq!(code, Some(1), "{found}");
    assert!(found["problems"][0]["problem"].as_str().is_some_and(|it| it.contains("describe")));
}

#[test]
fn check_has_to_answer() {
    let world = World::new();
    let trial = read("tests/policies/trial.wasm");
    for (behaviour, part) in [
        ("panic", "check does not answer: it crashed"),
        ("loop", "timeout_ms = 1000"),
        ("memory", "memory_mib = 128"),
        ("fail", "check fails"),
        ("invalid-config", "this config is not usable"),
    ] {
        let config = json!({"check": behaviour}).to_string();
        let (code, found) = check(&world, &trial, &["--config", &config]);
        assert_eq!(code, Some(1), "{behaviour}: {found}");
        let problem = found["problems"][0]["problem"].as_str().expect("a problem");
        assert!(problem.starts_with("prompt: ") && problem.contains(part), "{part}: {problem}");
    }
}

#[test]
fn a_policy_by_its_name_is_checked_with_its_config() {
    let world = World::with_agent("answer hello");
    fs::copy(component("tests/policies/trial.wasm"), world.path("trial.wasm")).expect("a copy");
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!(
        "{yaml}policies:\n  good: {{component: trial.wasm}}\n  bad: {{component: trial.wasm, config: {{check: invalid-config}}}}\n  budget: {{config: {{max_usd: 2}}}}\n"
    ));
    assert_eq!(world.run(&["policy", "check", "good"]).code, Some(0));
    let bad = world.run(&["policy", "check", "bad"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.stdout.contains("this config is not usable"), "{bad:?}");
    assert_eq!(world.run(&["policy", "check", "budget"]).code, Some(0));
    // A built-in name that stands for two components.
    let classic = world.run(&["policy", "check", "classic"]);
    assert_eq!(classic.code, Some(1), "{classic:?}");
    assert!(classic.stderr.contains("prompt, describe") && classic.stderr.contains("--kind"));
    let classic = world.run(&["policy", "check", "classic", "--kind", "describe"]);
    assert_eq!(classic.code, Some(0), "{classic:?}");
    assert!(classic.stdout.contains("describe 0.1.0"), "{classic:?}");
    let unknown = world.run(&["policy", "check", "nobody", "--json"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.json()["error"].as_str().is_some_and(|error| error.contains("'nobody'")));
}
