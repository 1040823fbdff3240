//! `policy test`: cases beside a policy, the difference, and what `--update` writes.

use std::fs;

use serde_json::json;

use super::{component, make};
use crate::support::{Ran, World};

/// A world with these cases for a policy that does what its config says.
fn world_with(cases: &str) -> World {
    let world = World::new();
    fs::create_dir(world.path("house")).expect("a folder");
    fs::copy(component("tests/policies/trial.wasm"), world.path("house/house.wasm"))
        .expect("a copy");
    fs::write(world.path("house/cases.yaml"), cases).expect("the cases");
    world
}

fn test(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["policy", "test", "house/house.wasm"], arguments].concat())
}

const CASES: &str = "\
# What is expected of the house.
- name: plain      # as it comes
  input: {task: look}
  expect:
    user: |-
      look
      around
- name: failing
  config: {render: panic}
  input: {task: look}
  expect: {error: {trap: 'wasm trap: wasm `unreachable` instruction executed'}}

# Nothing is expected of this yet.
- name: open
  config: {interpret: 'hint:soon'}
  input: {task: look, reply: Four.}
";

#[test]
fn a_difference_is_shown_line_by_line_and_ends_with_1() {
    let world = world_with(CASES);
    let ran = test(&world, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in [
        "other  plain  ",
        "       - user: |-",
        "       -   around",
        "       + user: look",
        "ok     failing  ",
        "new    open  ",
        "       + hint: soon",
        "2 of 3 are not as expected",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(ran.stdout.contains(" ms"), "{ran:?}");
    assert_eq!(fs::read_to_string(world.path("house/cases.yaml")).expect("the cases"), CASES);

    let json = test(&world, &["--json"]).json();
    assert_eq!((&json["as_expected"], &json["otherwise"]), (&json!(1), &json!(2)), "{json}");
    let first = &json["cases"][0];
    assert_eq!(first["expected"], json!({"user": "look\naround"}), "{first}");
    assert_eq!((&first["got"], &first["kind"]), (&json!({"user": "look"}), &json!("prompt")));
    assert!(first["ms"].as_f64().is_some_and(|ms| ms > 0.0), "{first}");
}

#[test]
fn update_writes_what_is_new_and_nothing_else() {
    let world = world_with(CASES);
    let ran = test(&world, &["--update"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("2 of 3 expect something else from now on"), "{ran:?}");
    let expected = CASES.replace("    user: |-\n      look\n      around\n", "    user: look\n")
        + "  expect:\n    edit: keep\n    hint: soon\n";
    assert_eq!(fs::read_to_string(world.path("house/cases.yaml")).expect("the cases"), expected);
    let again = test(&world, &[]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.contains("all 3 are as expected"), "{again:?}");
}

#[test]
fn what_cannot_be_updated_in_place_is_left_alone() {
    let cases = "[{name: plain, input: {task: look}, expect: {user: other}}]\n";
    let world = world_with(cases);
    let ran = test(&world, &["--update"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("was left as it is") && ran.stderr.contains("user: look"),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(world.path("house/cases.yaml")).expect("the cases"), cases);
}

#[test]
fn a_mistake_in_the_cases_is_told_with_its_place() {
    for (cases, part) in [
        ("- {name: a, inputs: {}}\n", "case 1: unknown field `inputs`"),
        ("- {input: {task: x}}\n", "case 1: missing field `name`"),
        ("- {name: a}\n- {name: a}\n", "two cases have the name 'a'"),
        ("- {name: a, kind: vote}\n", "the kind vote is none of prompt"),
        ("- {name: a, kind: describe}\n", "case 'a': 'house' is no describe policy"),
        ("- {name: a, input: {tsk: x}}\n", "case 'a': the input cannot be used: tsk is not known"),
        ("a: b\n", "the cases have to be a list"),
        ("- [\n", "cannot be read"),
        ("", "there are no cases"),
    ] {
        let ran = test(&world_with(cases), &[]);
        assert_eq!(ran.code, Some(1), "{cases}: {ran:?}");
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn a_project_is_tested_by_its_folder_and_says_when_it_has_to_be_built() {
    let world = World::new();
    make(&world, "house", "prompt", "python");
    let ran = world.run(&["policy", "test", "house"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("is not built yet"), "{ran:?}");
    fs::copy(component("tests/policies/trial.wasm"), world.path("house/house.wasm"))
        .expect("a copy");
    fs::write(world.path("house/cases.yaml"), "- {name: a, input: {task: x}, expect: {user: x}}\n")
        .unwrap();
    // The copy has the time of its making; what is written later is a change.
    let source = fs::File::options().append(true).open(world.path("house/policy.py")).expect("it");
    source
        .set_modified(std::time::SystemTime::now() + std::time::Duration::from_hours(1))
        .expect("a time");
    let ran = world.run(&["policy", "test", "house"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("policy.py was changed after the policy was built"), "{ran:?}");
}

#[test]
fn a_built_in_policy_is_tested_with_cases_of_ones_own() {
    let world = World::new();
    fs::write(
        world.path("mine.yaml"),
        "- name: both\n  kind: prompt\n  input: {task: look}\n  expect: {user: look}\n- name: nothing\n  kind: describe\n  input: {project: tmp}\n  expect: {text: x}\n",
    )
    .expect("the cases");
    let ran = world.run(&["policy", "test", "classic", "--cases", "mine.yaml"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("ok     both") && ran.stdout.contains("other  nothing"), "{ran:?}");
}
