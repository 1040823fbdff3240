//! Components that mean harm, written as WebAssembly text: each is the policy of an agent
//! of a real server. After each the server answers the next call, and the error names the
//! policy, its digest and the limit that it met.

mod aggregates;
mod decisions;
mod dialogues;

pub(crate) mod guest;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::World;
use crate::support::mcp::Client;
use guest::{Guest, built_in};

/// A world whose agent `infra` has the policy at `policy.wasm`, and an agent `other`.
struct Attack {
    world: World,
    client: Client,
}

impl Attack {
    fn new() -> Self {
        Self::with_limits("")
    }

    /// More time than a busy machine needs, where a test does not set less.
    fn with_limits(limits: &str) -> Self {
        let world = World::with_agent("record\nanswer paid for");
        world.agent("other", "answer still here");
        let agents = world
            .agents_yaml(&["infra", "other"])
            .replace("  other:", "    policies: {prompt: evil, describe: evil}\n  other:");
        let limits = if limits.is_empty() { "timeout_ms: 60000" } else { limits };
        // Whom a client adds it describes as well.
        world.config(&format!(
            "{agents}  policies: {{describe: evil}}\npolicies:\n  evil: {{component: ./policy.wasm, limits: {{{limits}}}}}\n"
        ));
        let client = Client::connect(&world);
        Self { world, client }
    }

    fn put(&self, component: &[u8]) {
        let (next, path) = (self.world.path("next.wasm"), self.world.path("policy.wasm"));
        fs::write(&next, component).expect("a component");
        fs::rename(next, path).expect("in its place");
    }

    /// Dispatches under that component, and makes sure that the server still serves.
    fn dispatch(&mut self, component: &[u8]) -> Value {
        self.put(component);
        self.dispatch_again()
    }

    fn dispatch_again(&mut self) -> Value {
        self.dispatch_with(json!({"agent": "infra", "task": "look"}))
    }

    /// The agent is run, whatever it has answered before.
    fn dispatch_afresh(&mut self) -> Value {
        self.dispatch_with(json!({"agent": "infra", "task": "look", "fresh": true}))
    }

    fn dispatch_with(&mut self, arguments: Value) -> Value {
        let _ = fs::remove_file(self.world.path("infra/prompt"));
        let reply = self.client.tool("dispatch", arguments);
        self.still_serves(&reply);
        reply
    }

    fn still_serves(&mut self, after: &Value) {
        let other = json!({"agent": "other", "task": "look", "fresh": true});
        let other = self.client.tool("dispatch", other);
        assert_eq!(other["result"], "still here", "after {after}");
    }

    /// Adds an agent that this component describes, and makes sure that the server still
    /// serves. Says why it was not added.
    #[track_caller]
    fn describe(&mut self, component: &[u8]) -> String {
        self.put(component);
        let new = json!({"name": "new", "directory": self.world.path("other")});
        let refused = self.client.tool("add_agent", new);
        self.still_serves(&refused);
        refused["error"].as_str().unwrap_or_else(|| panic!("{refused}")).to_owned()
    }

    /// The dispatch is refused before anything is spent; the error names this.
    #[track_caller]
    fn refused(&mut self, name: &str, component: &[u8], part: &str) {
        let reply = self.dispatch(component);
        assert_eq!(reply["error_type"], "policy", "{name}: {reply}");
        let error = reply["error"].as_str().expect("an error");
        assert!(error.starts_with("policy 'evil' ("), "{name}: {error}");
        assert!(error.contains(&digest(component)), "{name}: {error}");
        assert!(error.contains(part), "{name}: {error}");
        assert!(!error.chars().any(char::is_control), "{name}: {error:?}");
        assert!(!self.world.path("infra/prompt").exists(), "{name}: the agent was run");
    }
}

/// How an error names a component.
fn digest(component: &[u8]) -> String {
    format!("{:.12})", format!("{:x}", Sha256::digest(component)))
}

const VIEW: &str = "agent-dispatch:policy/project-view@0.1.0";
const LOOP: &str = "(loop $l (br $l)) (unreachable)";
const RECURSION: &str = "(func $r (param i64) (result i32) (call $r (i64.add (local.get 0) (i64.const 1))) (i32.const 1) (i32.add))";
const MEMORY_BOMB: &str =
    "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
const TABLE_BOMB: &str = "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 65536)) (i32.const -1)))) (unreachable)";
const TABLE: &str = "(table $t 1 funcref)";
const IMPORT_LOG: &str =
    r#"(import "agent-dispatch:policy/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#;

/// A result at 1024 whose text begins at `pointer` and has `size` bytes.
fn text_at(pointer: u32, size: u32) -> String {
    format!(
        "(i32.store (i32.const 1028) (i32.const {pointer})) (i32.store (i32.const 1032) (i32.const {size})) (i32.const 1024)"
    )
}

/// A reply's meaning at 4096 that replaces it by such a text.
fn replacement_at(pointer: u32, size: u32) -> String {
    format!(
        "(i32.store (i32.const 4104) (i32.const 2)) (i32.store (i32.const 4112) (i32.const {pointer})) (i32.store (i32.const 4116) (i32.const {size})) (i32.const 4096)"
    )
}

/// What a function of a policy can do wrong, and what is said of it. Its result is a text.
fn bad_bodies(
    text_at: fn(u32, u32) -> String,
) -> Vec<(&'static str, String, &'static str, &'static str)> {
    vec![
        ("trap", "(unreachable)".to_owned(), "", "it crashed"),
        ("division", "(i32.div_s (i32.const 1) (i32.const 0))".to_owned(), "", "it crashed"),
        ("far away", "(i32.load (i32.const 0x7fffffff))".to_owned(), "", "it crashed"),
        ("null call", "(call_indirect $t (result i32) (i32.const 0))".to_owned(), TABLE, "it crashed"),
        ("recursion", "(call $r (i64.const 0))".to_owned(), RECURSION, "1 MiB of stack"),
        ("memory bomb", MEMORY_BOMB.to_owned(), "", "memory_mib = 128"),
        ("table bomb", TABLE_BOMB.to_owned(), TABLE, "1048576 table entries"),
        ("huge output", format!("(drop (memory.grow (i32.const 1000))) {}", text_at(2048, 60_000_000)), "", "output_mib = 10"),
        ("output beyond memory", text_at(2048, 0x7fff_ffff), "", "it crashed"),
        ("output at the end", text_at(0xffff_fff0, 0x20), "", "it crashed"),
        ("no UTF-8", format!("(i32.store (i32.const 2048) (i32.const 0xfefffefd)) {}", text_at(2048, 4)), "", "it crashed"),
        ("result beyond memory", "(i32.const 0x7ffffff0)".to_owned(), "", "it crashed"),
        ("result out of line", "(i32.const 1025)".to_owned(), "", "it crashed"),
        ("no such case", "(i32.store8 (i32.const 1024) (i32.const 7)) (i32.const 1024)".to_owned(), "", "it crashed"),
        ("no such error", "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 9)) (i32.const 1024)".to_owned(), "", "it crashed"),
    ]
}

#[test]
fn what_goes_wrong_before_the_run_costs_nothing() {
    let mut attack = Attack::new();
    for (name, body, more, part) in bad_bodies(text_at) {
        let guest = Guest { first: body, more: more.to_owned(), ..Guest::prompt() };
        attack.refused(name, &guest.build(), part);
    }
    for (name, realloc, part) in [
        ("allocator that traps", "(unreachable)", "it crashed"),
        ("allocator far away", "(i32.const 0x7fffffff)", "it crashed"),
        ("allocator out of line", "(i32.const 1025)", "it crashed"),
        ("allocator that recurses", "(call $r (i64.const 0))", "1 MiB of stack"),
    ] {
        let (realloc, more) = (realloc.to_owned(), RECURSION.to_owned());
        attack.refused(name, &Guest { realloc, more, ..Guest::prompt() }.build(), part);
    }
    let check = "(unreachable)".to_owned();
    attack.refused("check", &Guest { check, ..Guest::prompt() }.build(), "it crashed");
    let more = "(func $s (unreachable)) (start $s)".to_owned();
    attack.refused("start", &Guest { more, ..Guest::prompt() }.build(), "unreachable");
    let memory = "4096".to_owned();
    attack.refused("memory", &Guest { memory, ..Guest::prompt() }.build(), "memory_mib = 128");
    let more = "(table 2000000 funcref)".to_owned();
    attack.refused("table", &Guest { more, ..Guest::prompt() }.build(), "1048576 table entries");
}

#[test]
fn what_goes_wrong_after_the_run_leaves_what_was_paid_for() {
    let mut attack = Attack::new();
    for (name, body, more, part) in bad_bodies(replacement_at) {
        let guest = Guest { interpret: body, more: more.to_owned(), ..Guest::prompt() };
        let component = guest.build();
        for _ in 0..2 {
            let reply = attack.dispatch(&component);
            assert_eq!(reply["result"], "paid for", "{name}: {reply}");
            assert_eq!(reply["success"], true, "{name}: {reply}");
            // Never given again: the second dispatch has run the agent too.
            assert!(attack.world.path("infra/prompt").exists(), "{name}");
            let error = reply["policy_error"].as_str().unwrap_or_else(|| panic!("{name}: {reply}"));
            assert!(error.starts_with("policy 'evil' ("), "{name}: {error}");
            assert!(error.contains(&digest(&component)), "{name}: {error}");
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}

#[test]
fn what_does_not_come_back_is_ended() {
    let mut attack = Attack::with_limits("timeout_ms: 100");
    let limit = "timeout_ms = 100";
    let loops = |field: &str| {
        let guest = Guest::prompt();
        let body = LOOP.to_owned();
        match field {
            "render" => Guest { first: body, ..guest },
            "check" => Guest { check: body, ..guest },
            "start" => Guest { more: format!("(func $s {LOOP}) (start $s)"), ..guest },
            _ => Guest { realloc: body, ..guest },
        }
    };
    for field in ["render", "check", "start", "realloc"] {
        attack.refused(field, &loops(field).build(), limit);
    }
    for (name, size) in [("small lines", 8), ("large lines", 60_000)] {
        let first = format!(
            "(loop $l (call $log (i32.const 3) (i32.const 2048) (i32.const {size})) (br $l)) (unreachable)"
        );
        let guest = Guest { first, imports: IMPORT_LOG.to_owned(), ..Guest::prompt() };
        attack.refused(name, &guest.build(), limit);
    }
    let copies = "(drop (memory.grow (i32.const 1000)))
        (loop $l (memory.fill (i32.const 65536) (i32.const 1) (i32.const 60000000)) (br $l)) (unreachable)";
    attack.refused("fill", &Guest { first: copies.to_owned(), ..Guest::prompt() }.build(), limit);
    let guest = Guest { interpret: LOOP.to_owned(), ..Guest::prompt() };
    let reply = attack.dispatch(&guest.build());
    assert_eq!(
        (&reply["result"], &reply["success"]),
        (&json!("paid for"), &json!(true)),
        "{reply}"
    );
    let error = reply["policy_error"].as_str().expect("an error");
    assert!(error.contains(limit), "{error}");
}

#[test]
fn a_huge_log_is_cut_and_the_call_goes_on() {
    let mut attack = Attack::new();
    let logs = |size: u32, times: u32| {
        // For debugging: the server shows none of it, and the tests' log has none.
        let first = format!(
            "(drop (memory.grow (i32.const 1000)))
            (memory.fill (i32.const 2053) (i32.const 0x20) (i32.const 60000000))
            (loop $l
                (call $log (i32.const 3) (i32.const 2048) (i32.const {size}))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const {times}))))
            (i32.const 1024)"
        );
        Guest { first, imports: IMPORT_LOG.to_owned(), ..Guest::prompt() }.build()
    };
    // 64 KiB by default, of which each line takes 64 bytes more than it has.
    for (name, component, kept) in
        [("short lines", logs(5, 10_000), 949), ("long lines", logs(60_000, 100), 1)]
    {
        let reply = attack.dispatch(&component);
        assert_eq!(reply["result"], "paid for", "{name}: {reply}");
        let mut command = attack.world.command();
        command.env("AGENT_DISPATCH_LOG", "debug").args(["dispatch", "infra", "look"]);
        let ran = command.output().expect("the binary runs");
        assert_eq!(ran.stdout, b"paid for\n", "{name}");
        let log = String::from_utf8(ran.stderr).expect("UTF-8");
        let lines = |part: &str| log.lines().filter(|line| line.contains(part)).count();
        assert_eq!(lines(" hello "), kept, "{name}");
        assert_eq!(lines("logs too much"), 1, "{name}");
    }
    attack.refused("one line", &logs(60_000_000, 1), "output_mib = 10");
}

#[test]
fn what_was_made_for_something_else_is_named() {
    let mut attack = Attack::new();
    let of = |world| Guest { world, ..Guest::prompt() };
    attack.refused(
        "kind",
        &Guest::describe().build(),
        "is no prompt policy, but one for: describe",
    );
    let import =
        |module: &str| format!("(import \"{module}\" \"fetch\" (func $f (param i32 i32 i32)))");
    let unknown = "agent-dispatch:policy/outside@0.1.0";
    let guest = Guest { imports: import(unknown), first: used("$f"), ..of("of-our-own") };
    attack.refused("import of ours", &guest.build(), unknown);
    let forbidden = "wasi:http/types@0.2.0";
    let guest = Guest { imports: import(forbidden), first: used("$f"), ..of("of-wasi") };
    attack.refused("import of WASI", &guest.build(), forbidden);
    let imports = "(import \"$root\" \"stop\" (func $stop))".to_owned();
    let first = "(call $stop) (i32.const 1024)".to_owned();
    let guest = Guest { first, imports, ..of("of-nobody") };
    attack.refused("import of nobody's", &guest.build(), "stop");
    for version in ["0.2.0", "1.0.0", "0.1.0-rc.1"] {
        let guest = Guest { version, ..Guest::prompt() };
        let part = format!("is made for the interface {version}; this agent-dispatch offers 0.1.0");
        attack.refused(version, &guest.build(), &part);
    }
    // The track is the same: what a later 0.1 adds may be left out.
    let reply = attack.dispatch(&Guest { version: "0.1.7", ..Guest::prompt() }.build());
    assert_eq!(reply["result"], "paid for", "{reply}");
    assert_eq!(attack.world.recorded("infra", "prompt"), "hello");

    let shape = r#"(component
        (component $c (core module $m (func (export "f") (result i32) i32.const 1))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (export "check" (func $f)) (export "render" (func $f)) (export "interpret" (func $f)))
        (instance $i (instantiate $c))
        (export "agent-dispatch:policy/prompt@0.1.0" (instance $i)))"#;
    attack.refused(
        "other functions",
        &wat::parse_str(shape).expect("WAT"),
        "does not fit the interface",
    );
    let empty = wat::parse_str("(component)").expect("WAT");
    attack.refused("nothing", &empty, "exports no policy");
}

/// Calls an imported function that takes two numbers and the address of its result.
fn used(function: &str) -> String {
    format!("(call {function} (i32.const 0) (i32.const 0) (i32.const 4096)) (i32.const 1024)")
}

#[test]
fn files_that_are_no_policy_are_named() {
    let mut attack = Attack::new();
    let whole = built_in();
    let core = wat::parse_str("(module)").expect("WAT");
    attack.refused("core module", &core, "is a core WebAssembly module, not a component");
    attack.refused("empty file", b"", "is no WebAssembly component");
    attack.refused("text", b"(component)", "is no WebAssembly component");
    for size in [7, 8, 9, 100, whole.len() / 2, whole.len() - 1] {
        attack.refused(&format!("first {size} bytes"), &whole[..size], "component");
    }
    let mut longer = whole.clone();
    longer.extend([0; 3]);
    attack.refused("more at its end", &longer, "does not compile");
    let mut refused_file = |name: &str, part: &str| {
        let reply = attack.dispatch_again();
        assert_eq!(reply["error_type"], "policy", "{name}: {reply}");
        let error = reply["error"].as_str().expect("an error");
        assert!(error.starts_with("policy 'evil'") && error.contains(part), "{name}: {error}");
        let path = attack.world.path("policy.wasm");
        let _ = fs::remove_dir(&path).or_else(|_| fs::remove_file(&path));
        path
    };
    let path = refused_file("what was there", "does not compile");
    refused_file("nothing", "");
    fs::create_dir(&path).expect("a folder");
    refused_file("a folder", "not a regular file");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
    refused_file("a FIFO", "not a regular file");
    let listener = UnixListener::bind(&path).expect("a socket");
    refused_file("a socket", "");
    drop(listener);
    symlink("/dev/zero", &path).expect("a link");
    refused_file("a device", "not a regular file");
    symlink("policy.wasm", &path).expect("a link");
    refused_file("a link to itself", "");
    File::create(&path).and_then(|file| file.set_len(65 << 20)).expect("a sparse file");
    refused_file("a large file", "64 MiB");
}

#[test]
fn bits_that_flip_do_no_harm() {
    let mut attack = Attack::with_limits("timeout_ms: 2000");
    let whole = Guest::prompt().build();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..60 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let mut flipped = whole.clone();
        let at = usize::try_from(state % (whole.len() as u64 - 8)).expect("small") + 8;
        flipped[at] ^= 1 << (state >> 61);
        let reply = attack.dispatch(&flipped);
        // Whatever it does now: it is refused, or it runs and the result is the agent's.
        let refused = reply["error_type"] == "policy";
        assert!(refused || reply["result"] == "paid for", "byte {at}: {reply}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_one_or_the_other() {
    let mut attack = Attack::new();
    let one = Guest::prompt().build();
    let two = Guest { first: text_at(2048, 12), ..Guest::prompt() }.build();
    attack.put(&one);
    let path = attack.world.path("policy.wasm");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // In place, so that a reader meets every state in between.
            while !done.load(Ordering::Relaxed) {
                for component in [&one, &two] {
                    fs::write(&path, component).expect("a file");
                }
            }
        });
        for _ in 0..40 {
            let reply = attack.dispatch_afresh();
            if reply["error_type"] != "policy" {
                assert_eq!(reply["result"], "paid for", "{reply}");
                let prompt = attack.world.recorded("infra", "prompt");
                assert!(["hello", "hello, a lin"].contains(&prompt.as_str()), "{prompt}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    attack.put(&two);
    assert_eq!(attack.dispatch_afresh()["result"], "paid for");
    assert_eq!(attack.world.recorded("infra", "prompt"), "hello, a lin");
}

#[test]
fn compile_bombs_are_bounded() {
    let mut attack = Attack::new();
    // So many core instances as no policy needs.
    let module = "(core module $m (memory 1))";
    let instances = "(core instance (instantiate $m))".repeat(200);
    let bomb = wat::parse_str(format!("(component {module} {instances})")).expect("WAT");
    attack.refused("instances", &bomb, "component");
    // Each level holds the one before ten times.
    let mut nested = String::from("(component $c0)");
    for level in 1..=12 {
        let inner = format!("(instance (instantiate $c{}))", level - 1).repeat(10);
        nested = format!("(component $c{level} {nested} {inner})");
    }
    let nested = wat::parse_str(nested.replacen("(component $c12", "(component", 1)).expect("WAT");
    attack.refused("nested instances", &nested, "component");
    let functions = "(func (result i32) (i32.const 1))".repeat(10_000);
    let many = Guest { more: functions, ..Guest::prompt() };
    let reply = attack.dispatch(&many.build());
    assert_eq!(reply["result"], "paid for", "that many are only slow: {reply}");
}

/// What else could tell one call from another.
const CHANCE: &str = r#"
    (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
    (import "wasi:random/insecure@0.2.0" "get-insecure-random-u64" (func $insecure (result i64)))
    (import "wasi:random/insecure-seed@0.2.0" "insecure-seed" (func $seed (param i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $since (result i64)))
    (import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32)))"#;

/// Writes sixteen letters from 2048 on that stand for the bits of a number.
const WRITE: &str = "(func $write (param $bits i64) (local $i i32)
    (loop $l
        (i32.store8 (i32.add (i32.const 2048) (local.get $i))
            (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $bits) (i64.const 15)))))
        (local.set $bits (i64.shr_u (local.get $bits) (i64.const 4)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 16)))))
    (global $calls (mut i64) (i64.const 0))";

#[test]
fn the_same_input_gives_the_same_output() {
    let mut attacks = [Attack::new(), Attack::new()];
    for (name, bits) in [
        ("NaN", "(i64.reinterpret_f64 (f64.div (f64.const 0) (f64.const 0)))"),
        ("root", "(i64.reinterpret_f64 (f64.sqrt (f64.const -1)))"),
        (
            "single NaN",
            "(i64.extend_i32_u (i32.reinterpret_f32 (f32.div (f32.const 0) (f32.const -0))))",
        ),
        ("memory", "(i64.load (i32.const 100000))"),
        ("pages", "(i64.extend_i32_u (memory.grow (i32.const 1)))"),
        (
            "calls",
            "(global.set $calls (i64.add (global.get $calls) (i64.const 1))) (global.get $calls)",
        ),
        ("address", "(i64.extend_i32_u (local.get $request))"),
        ("chance", "(call $random)"),
        ("cheap chance", "(call $insecure)"),
        ("seed of chance", "(call $seed (i32.const 4096)) (i64.load (i32.const 4096))"),
        ("time that passes", "(call $since)"),
        ("hour", "(call $now (i32.const 4096)) (i64.load (i32.const 4096))"),
        ("part of a second", "(call $now (i32.const 4096)) (i64.load32_u (i32.const 4104))"),
    ] {
        let first = format!("{bits} (call $write) {}", text_at(2048, 16));
        let (more, imports) = (WRITE.to_owned(), CHANCE.to_owned());
        let component = Guest { first, more, imports, world: "of-chance", ..Guest::prompt() };
        let component = component.build();
        let mut seen = Vec::new();
        for attack in &mut attacks {
            for _ in 0..3 {
                attack.put(&component);
                let reply = attack.dispatch_afresh();
                assert_eq!(reply["success"], true, "{name}: {reply}");
                seen.push(attack.world.recorded("infra", "prompt"));
            }
        }
        // The two worlds differ in the paths of their folders alone.
        seen.dedup();
        assert_eq!(seen.len(), 1, "{name}: {seen:?}");
    }
}

#[test]
fn a_describe_policy_that_means_harm_is_refused_too() {
    let mut attack = Attack::with_limits("timeout_ms: 300");
    let mut describe = |guest: &Guest| {
        let component = guest.build();
        let error = attack.describe(&component);
        assert!(error.starts_with("'new' was not described: policy 'evil' ("), "{error}");
        assert!(error.contains(&digest(&component)), "{error}");
        error
    };
    let imports =
        format!("(import \"{VIEW}\" \"[resource-drop]project\" (func $drop (param i32)))");
    for (name, body, more, part) in bad_bodies(text_at) {
        let first = format!("(call $drop (local.get $project)) {body}");
        let (more, imports) = (more.to_owned(), imports.clone());
        let guest = Guest { first, more, imports, ..Guest::describe() };
        let error = describe(&guest);
        assert!(error.contains(part), "{name}: {error}");
    }
    // What is borrowed has to be given back.
    let error = describe(&Guest::describe());
    assert!(error.contains("borrow handles still remain"), "{error}");
    // A list of a billion names, and the same borrowed thing looked at for ever.
    let first = "(call $drop (local.get $project)) (i32.store (i32.const 1040) (i32.const 0x3fffffff)) (i32.const 1024)".to_owned();
    let error = describe(&Guest { first, imports, ..Guest::describe() });
    assert!(error.contains("it crashed") || error.contains("output_mib"), "{error}");
    let imports = format!(
        "(import \"{VIEW}\" \"[method]project.entries\" (func $entries (param i32 i32 i32 i32)))"
    );
    let first = "(loop $l
            (call $entries (local.get $project) (i32.const 2048) (i32.const 0) (i32.const 4096))
            (global.set $top (i32.const 65536)) (br $l)) (unreachable)";
    let guest = Guest { first: first.to_owned(), imports, ..Guest::describe() };
    let error = describe(&guest);
    assert!(error.contains("timeout_ms = 300"), "{error}");
}
