//! `policy build`, with programs in the place of the languages' own tools: which one is
//! run, what becomes of what it makes, and what is said where it is missing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{LANGUAGES, component, make};
use crate::support::{Ran, World};

/// Puts a shell script where a program is looked for.
fn program(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Builds the project `house` with nothing on PATH but what is in `bin`.
fn build(world: &World) -> Ran {
    let mut command = world.command();
    command.env("PATH", world.path("bin")).args(["policy", "build", "house"]);
    Ran::of(&command.output().expect("the binary runs"))
}

/// A world with a project, and no programs.
fn world_with(kind: &str, language: &str) -> World {
    let world = World::new();
    make(&world, "house", kind, language);
    fs::create_dir(world.path("bin")).expect("a folder");
    world
}

#[test]
fn what_is_missing_is_named_with_the_command_that_gets_it() {
    for (language, _, tools) in LANGUAGES {
        let world = world_with("prompt", language);
        if language == "rust" {
            let built = build(&world);
            assert!(built.stderr.contains("https://rustup.rs"), "{built:?}");
            program(&world.path("bin/rustc"), "echo /nowhere");
        }
        let built = build(&world);
        assert_eq!(built.code, Some(1), "{built:?}");
        assert!(built.stderr.contains(tools), "{language}: {built:?}");
        assert!(!world.path("house/house.wasm").exists());
    }
}

#[test]
fn the_component_lies_in_one_place_whatever_the_language_and_is_checked() {
    let xml = component("plugins/built/xml.wasm");
    let xml = xml.display();
    for (language, ..) in LANGUAGES {
        let world = world_with("prompt", language);
        match language {
            "rust" => {
                program(&world.path("bin/rustc"), "echo /");
                let said = format!(
                    r#"{{"reason":"compiler-artifact","filenames":["/x/libserde.rlib"]}}
{{"reason":"compiler-artifact","filenames":["{xml}"]}}
{{"reason":"build-finished","success":true}}"#
                );
                program(&world.path("bin/cargo"), &format!("echo \"$@\" >asked\necho '{said}'"));
            }
            "javascript" => {
                let library = "house/node_modules/@bytecodealliance/componentize-js";
                fs::create_dir_all(world.path(library)).expect("a folder");
                let script = format!("echo \"$@\" >asked\n/bin/cp {xml} house.wasm");
                program(&world.path("bin/node"), &script);
            }
            _ => {
                let own = world.path("house/.venv/bin/componentize-py");
                program(&own, &format!("echo \"$@\" >asked\n/bin/cp {xml} house.wasm.next"));
            }
        }
        let built = build(&world);
        assert_eq!(built.code, Some(0), "{language}: {built:?}");
        for part in ["prompt 0.1.0", "agent-dispatch can use it", "policy test house"] {
            assert!(built.stdout.contains(part), "{part}: {built:?}");
        }
        let made = fs::read(world.path("house/house.wasm")).expect("the component");
        assert_eq!(made, fs::read(component("plugins/built/xml.wasm")).expect("xml"), "{language}");
        let asked = fs::read_to_string(world.path("house/asked")).expect("what it was asked");
        let part = match language {
            "rust" => "build --release --target wasm32-wasip2",
            "javascript" => "build.mjs",
            _ => "-w prompt-policy componentize policy",
        };
        assert!(asked.contains(part), "{asked}");
    }
}

#[test]
fn a_build_that_fails_shows_why_and_leaves_the_last_component() {
    let world = world_with("prompt", "rust");
    fs::write(world.path("house/house.wasm"), "the last").expect("a file");
    program(&world.path("bin/rustc"), "echo /");
    program(&world.path("bin/cargo"), "echo 'error: no such thing' >&2; exit 101");
    let built = build(&world);
    assert_eq!(built.code, Some(1), "{built:?}");
    for part in ["no such thing", "cargo could not build the policy", "101"] {
        assert!(built.stderr.contains(part), "{part}: {built:?}");
    }
    assert_eq!(fs::read(world.path("house/house.wasm")).expect("a file"), b"the last");
    program(&world.path("bin/cargo"), r#"echo '{"reason":"build-finished"}'"#);
    assert!(build(&world).stderr.contains("cdylib"));
}

#[test]
fn what_was_built_and_cannot_be_used_is_a_failure() {
    let world = world_with("prompt", "python");
    let own = world.path("house/.venv/bin/componentize-py");
    program(&own, "echo no component >house.wasm.next");
    let built = build(&world);
    assert_eq!(built.code, Some(1), "{built:?}");
    assert!(built.stdout.contains("no WebAssembly component"), "{built:?}");
}

#[test]
fn a_folder_that_is_no_project_says_so() {
    let world = World::new();
    fs::create_dir(world.path("house")).expect("a folder");
    let refused = world.run(&["policy", "build", "house"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("policy.yaml"), "{refused:?}");
    fs::write(world.path("house/policy.yaml"), "name: house\nlanguage: perl\nworld: x\n").unwrap();
    let refused = world.run(&["policy", "build", "house"]);
    assert!(refused.stderr.contains("perl") && refused.stderr.contains("rust"), "{refused:?}");
    fs::write(world.path("house/policy.yaml"), "name: ../x\nlanguage: rust\nworld: x\n").unwrap();
    let refused = world.run(&["policy", "build", "house"]);
    assert!(refused.stderr.contains("A name has letters"), "{refused:?}");
}
