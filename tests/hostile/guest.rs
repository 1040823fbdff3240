//! Components out of WebAssembly text: a policy whose functions do what a test says.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A policy in WebAssembly text. Each body leaves the address of its result; those that
/// are not set do the plain thing.
#[derive(Clone)]
pub(crate) struct Guest {
    /// The world it is made for.
    pub(crate) world: &'static str,
    /// The version that it says it is made for.
    pub(crate) version: &'static str,
    pub(crate) check: String,
    /// `render`, `describe` or `step`.
    pub(crate) first: String,
    pub(crate) interpret: String,
    pub(crate) realloc: String,
    /// Fields of the module besides.
    pub(crate) more: String,
    /// What it imports; comes first in the module.
    pub(crate) imports: String,
    /// Pages of memory.
    pub(crate) memory: String,
}

impl Guest {
    pub(crate) fn prompt() -> Self {
        Self {
            world: "prompt-policy",
            version: "0.1.0",
            check: "(i32.const 512)".to_owned(),
            first: "(i32.const 1024)".to_owned(),
            interpret: "(i32.const 512)".to_owned(),
            realloc: REALLOC.to_owned(),
            more: String::new(),
            imports: String::new(),
            memory: "2".to_owned(),
        }
    }

    pub(crate) fn describe() -> Self {
        Self { world: "describe-policy", ..Self::prompt() }
    }

    /// A policy that is asked again and again: it waits, or says nothing to the requester.
    pub(crate) fn steps(world: &'static str) -> Self {
        Self { world, first: "(i32.const 512)".to_owned(), ..Self::prompt() }
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { check, first, interpret, realloc, more, imports, memory, version, .. } = self;
        let functions = if self.world == "describe-policy" {
            format!(
                r#"(func (export "agent-dispatch:policy/describe@{version}#describe")
                    (param $config i32) (param $size i32) (param $project i32) (result i32)
                    (local $i i32) {first})
                (func (export "agent-dispatch:policy/describe@{version}#check")
                    (param i32 i32) (result i32) {check})"#
            )
        } else if let Some(kind @ ("aggregate" | "dialogue")) = world_kind(self.world) {
            format!(
                r#"(func (export "agent-dispatch:policy/{kind}@{version}#step")
                    (param $given i32) (result i32) (local $i i32) {first})
                (func (export "agent-dispatch:policy/{kind}@{version}#check")
                    (param i32 i32) (result i32) {check})"#
            )
        } else {
            format!(
                r#"(func (export "agent-dispatch:policy/prompt@{version}#render")
                    (param $request i32) (result i32) (local $i i32) {first})
                (func (export "agent-dispatch:policy/prompt@{version}#interpret")
                    (param $reply i32) (result i32) (local $i i32) {interpret})
                (func (export "agent-dispatch:policy/prompt@{version}#check")
                    (param i32 i32) (result i32) {check})"#
            )
        };
        // At 512 nothing but zeros, which is a success with nothing in it; at 1024 a
        // success with the text at 2048.
        let text = format!(
            r#"(module {imports}
                (memory (export "memory") {memory})
                (global $top (mut i32) (i32.const 65536))
                (data (i32.const 1024) "\00\00\00\00\00\08\00\00\05\00\00\00")
                (data (i32.const 2048) "hello, a line that is logged")
                (func (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32)
                    (param $size i32) (result i32) {realloc})
                {functions}
                {more})"#
        );
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let wit = interface(version);
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(wit.path()).expect("the interface");
        let world = resolve.select_world(&[package], Some(self.world)).expect("its world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("metadata");
        let encoder = ComponentEncoder::default().validate(true).module(&module);
        encoder.expect("a module").encode().unwrap_or_else(|error| panic!("{error:#}\n{text}"))
    }
}

/// The kind of a policy of this world.
fn world_kind(world: &str) -> Option<&str> {
    world.strip_suffix("-policy")
}

/// Hands out memory and never takes it back.
const REALLOC: &str = "
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (block $enough
        (br_if $enough (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536))))))
    (local.get $at)";

/// The interface of this repository under another version, and with more worlds.
fn interface(version: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    for file in fs::read_dir(wit).expect("the interface").flatten() {
        let text = fs::read_to_string(file.path()).expect("text");
        let text = text.replace("policy@0.1.0;", &format!("policy@{version};"));
        fs::write(folder.path().join(file.file_name()), text).expect("a file");
    }
    for (name, text) in [
        ("http", "interface types { fetch: func(url: string) -> string; }"),
        (
            "random",
            "interface random { get-random-u64: func() -> u64; }
            interface insecure { get-insecure-random-u64: func() -> u64; }
            interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }",
        ),
        (
            "clocks",
            "interface monotonic-clock { now: func() -> u64; }
            interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 }
                now: func() -> datetime; }",
        ),
    ] {
        let deps = folder.path().join("deps").join(name);
        fs::create_dir_all(&deps).expect("a folder");
        let package = format!("package wasi:{name}@0.2.0; {text}");
        fs::write(deps.join("package.wit"), package).expect("a file");
    }
    let worlds = "interface outside { fetch: func(url: string) -> string; }
        world of-our-own { import outside; export prompt; }
        world of-wasi { import wasi:http/types@0.2.0; export prompt; }
        world of-chance { import wasi:random/random@0.2.0; import wasi:random/insecure@0.2.0;
            import wasi:random/insecure-seed@0.2.0; import wasi:clocks/monotonic-clock@0.2.0;
            import wasi:clocks/wall-clock@0.2.0; export prompt; }
        world of-nobody { import stop: func(); export prompt; }";
    fs::write(folder.path().join("worlds.wit"), worlds).expect("a file");
    folder
}

/// A built-in policy's component.
pub(crate) fn built_in() -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins/built/classic.wasm");
    fs::read(path).expect("a component")
}
