//! What a describe policy sees of a project, and what it does not.
//!
//! The policy of these tests (`plugins/viewer`) takes the steps that its config names and
//! says what came of each.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::{Ran, World};

mod built_in;

const MIB: u64 = 1 << 20;

/// A world whose agent `infra` is described by the policy of this config.
fn world(config: &Value) -> World {
    let world = World::with_agent("answer hello");
    reconfigure(&world, config, "");
    world
}

fn reconfigure(world: &World, config: &Value, more: &str) {
    let viewer = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policies/viewer.wasm");
    let viewer = viewer.display();
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!(
        "{yaml}  policies: {{describe: view}}\npolicies:\n  view: {{component: {viewer}, config: {config}{more}}}\n"
    ));
}

fn describe(world: &World) -> Ran {
    world.run(&["describe", "infra", "--json"])
}

/// What the policy saw, step by step.
#[track_caller]
fn seen(world: &World, steps: &[&str]) -> Vec<String> {
    reconfigure(world, &json!({"steps": steps, "times": 1}), "");
    let described = describe(world);
    let value = described.json();
    let seen = value["mcp_servers"].as_array().unwrap_or_else(|| panic!("{described:?}"));
    let seen: Vec<String> = seen.iter().map(|seen| seen.as_str().expect("a text").into()).collect();
    assert_eq!(seen.len(), steps.len(), "{seen:?}");
    seen
}

#[test]
fn files_and_directories_are_seen_as_they_are() {
    let world = world(&json!({}));
    let project = world.path("infra");
    fs::remove_file(project.join("script")).expect("it is there");
    fs::create_dir_all(project.join("src/deep")).expect("a folder");
    fs::write(project.join("src/b"), "größer").expect("a file");
    fs::write(project.join("src/a"), [b'a', 0xff, b'b']).expect("a file");
    symlink("src/b", project.join("link")).expect("a link");
    symlink("..", project.join("src/deep/up")).expect("a link");
    symlink("../../link", project.join("src/deep/link")).expect("a link");
    let seen = seen(
        &world,
        &[
            "name",
            "entries",
            "entries src/",
            "entries src/deep",
            "look src/b",
            "look ./link",
            "look src/deep/up/a",
            "look .",
            "read 100 src/b",
            "read 4 src/b",
            "read 3 src/b",
            "read 0 src/b",
            "read 100 src/a",
            "read 100 link",
        ],
    );
    assert_eq!(
        seen,
        [
            "infra",
            "file link 8, directory src 0",
            "file a 3, file b 8, directory deep 0",
            "file link 8, directory up 0",
            "file b 8",
            "file link 8",
            "file a 3",
            "directory  0",
            "8 of 8 complete=true utf8=true größer",
            "4 of 8 complete=false utf8=true grö",
            "2 of 8 complete=false utf8=true gr",
            "0 of 8 complete=false utf8=true",
            "5 of 3 complete=true utf8=false a\u{fffd}b",
            "8 of 8 complete=true utf8=true größer",
        ]
    );
}

#[test]
fn no_path_leads_out() {
    let world = world(&json!({}));
    let project = world.path("infra");
    fs::write(world.path("secret"), "secret").expect("a file");
    fs::create_dir(world.path("infra-2")).expect("a folder");
    fs::write(world.path("infra-2/secret"), "secret").expect("a file");
    fs::create_dir(project.join("sub")).expect("a folder");
    let secret = world.path("secret");
    for (name, target) in [
        ("relative", PathBuf::from("../secret")),
        ("absolute", secret.clone()),
        ("folder", world.path("")),
        ("proc", "/proc/self/environ".into()),
        ("root", "/".into()),
        ("zero", "/dev/zero".into()),
        // What would lead into the project as seen from outside.
        ("home", project.join("sub")),
        ("sub/up", "../../infra-2/secret".into()),
    ] {
        symlink(target, project.join(name)).expect("a link");
    }
    let secret = secret.display();
    let paths = [
        "..",
        "../secret",
        "sub/../../secret",
        "sub/..",
        "./../secret",
        "../infra-2/secret",
        "/etc/passwd",
        "//etc/passwd",
        "/",
        "/proc/self/environ",
        "/dev/zero",
        &secret.to_string(),
        "relative",
        "absolute",
        "folder",
        "folder/secret",
        "proc",
        "root",
        "root/proc/self/environ",
        "root/etc/passwd",
        "zero",
        "home",
        "sub/up",
        "nul\0",
        &"a/".repeat(3000),
    ];
    for what in ["look", "read 100", "entries"] {
        let steps: Vec<String> = paths.iter().map(|path| format!("{what} {path}")).collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        for (step, seen) in steps.iter().zip(seen(&world, &steps)) {
            assert_eq!(seen, "outside", "{step}");
        }
    }
    // Links that lead out are there all the same, and nothing of what they lead to is told.
    let listed = &seen(&world, &["entries"])[0];
    assert_eq!(
        listed,
        "other absolute 0, other folder 0, other home 0, other proc 0, other relative 0, other root 0, file script 12, directory sub 0, other zero 0"
    );
}

#[test]
fn what_is_no_file_is_never_opened() {
    let world = world(&json!({}));
    let project = world.path("infra");
    mknodat(CWD, project.join("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
    let _listener = UnixListener::bind(project.join("socket")).expect("a socket");
    // Only root makes devices.
    let zero = rustix::fs::makedev(1, 5);
    let device = project.join("device");
    let device = mknodat(CWD, device, FileType::CharacterDevice, Mode::RUSR, zero).is_ok();
    let mut names = vec!["fifo", "socket"];
    names.extend(device.then_some("device"));
    for name in names {
        let steps = [format!("look {name}"), format!("read 9 {name}"), format!("entries {name}")];
        let steps = steps.each_ref().map(String::as_str);
        let expected = [&format!("other {name} 0"), "wrong-kind", "wrong-kind"];
        assert_eq!(seen(&world, &steps), expected);
    }
    let steps =
        ["read 9 .", "entries script", "read 9 script/a", "look nothing", "read 9 no/thing"];
    let expected = ["wrong-kind", "wrong-kind", "not-found", "not-found", "not-found"];
    assert_eq!(seen(&world, &steps), expected);
}

#[test]
fn links_that_lead_to_each_other_are_no_way() {
    let world = world(&json!({}));
    let project = world.path("infra");
    symlink("there", project.join("here")).expect("a link");
    symlink("here", project.join("there")).expect("a link");
    symlink(".", project.join("self")).expect("a link");
    let deep = format!("look {}", "self/".repeat(100));
    let seen = seen(&world, &["look here", "entries there", "look self/self/self", &deep]);
    assert!(seen[0].starts_with("unreadable: "), "{seen:?}");
    assert!(seen[1].starts_with("unreadable: "), "{seen:?}");
    assert_eq!(seen[2], "directory self 0");
    assert!(seen[3].starts_with("unreadable: "), "{seen:?}");
}

#[test]
fn enormous_files_and_directories_are_seen_in_part() {
    let world = world(&json!({}));
    let project = world.path("infra");
    let sparse = File::create(project.join("sparse")).expect("a file");
    sparse.set_len(1 << 40).expect("a sparse file");
    let whole = format!("read {} sparse", u32::MAX);
    let part = format!("{MIB} of {} complete=false utf8=true", 1_u64 << 40);
    let mut steps = vec![whole.as_str(); 8];
    steps.extend(["read 1 sparse", "look sparse"]);
    let reads = seen(&world, &steps);
    for read in &reads[..8] {
        assert!(read.starts_with(&part), "{read}");
    }
    assert_eq!(reads[8], "limit: a call reads 8 MiB of a project");
    assert_eq!(reads[9], format!("file sparse {}", 1_u64 << 40));

    let many = project.join("many");
    fs::create_dir(&many).expect("a folder");
    for number in 0..1999 {
        File::create(many.join(number.to_string())).expect("a file");
    }
    let listed = seen(&world, &["entries many", "entries many"]);
    assert!(listed[0].starts_with("file 0 0, file 1 0, file 10 0,"), "{}", listed[0]);
    assert_eq!(listed[1], "limit: a call lists 2000 entries");
    for number in 1999..2001 {
        File::create(many.join(number.to_string())).expect("a file");
    }
    assert_eq!(seen(&world, &["entries many"]), ["limit: a call lists 2000 entries"]);
}

#[test]
fn a_server_that_has_looked_at_such_a_project_answers_the_next_call() {
    let world = world(&json!({}));
    let project = world.path("infra");
    mknodat(CWD, project.join("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
    File::create(project.join("sparse")).and_then(|file| file.set_len(1 << 40)).expect("a file");
    symlink("/proc/self/environ", project.join("proc")).expect("a link");
    symlink("/dev/zero", project.join("zero")).expect("a link");
    symlink("self", project.join("self")).expect("a link");
    let mut client = Client::connect(&world);
    let paths = ["..", "/etc/passwd", "/proc/self/mem", "fifo", "sparse", "proc", "zero", "self"];
    for (number, path) in paths.iter().enumerate() {
        let steps = ["look", "read 4294967295", "entries"].map(|what| format!("{what} {path}"));
        reconfigure(&world, &json!({"steps": steps}), "");
        let name = format!("agent-{number}");
        let added = client.tool("add_agent", json!({"name": name, "directory": project}));
        assert_eq!(added["description"], "what was seen", "{path}: {added}");
        let listed = client.tool("list_agents", json!({}));
        assert_eq!(listed[1]["name"], name.as_str(), "{path}: {listed}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_not_utf_8_are_left_out() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let world = world(&json!({}));
    let project = world.path("infra");
    fs::write(project.join(OsStr::from_bytes(b"bad-\xff")), "x").expect("a file");
    fs::write(project.join("\u{1b}[31m\n"), "x").expect("a file");
    let seen = seen(&world, &["entries", "look \u{1b}[31m\n"]);
    assert_eq!(seen[0], "file \\u{1b}[31m  1, file script 12");
    assert_eq!(seen[1], "file \\u{1b}[31m  1");
}

#[test]
fn looking_without_end_ends() {
    let world = world(&json!({}));
    let config = json!({"steps": ["look script", "entries"], "times": u32::MAX});
    reconfigure(&world, &config, ", limits: {timeout_ms: 100}");
    let error = describe(&world).json()["error"].as_str().expect("an error").to_owned();
    assert!(error.starts_with("policy 'view' (viewer 0.1.0 "), "{error}");
    assert!(error.contains("timeout_ms = 100"), "{error}");
}

#[test]
fn a_policy_that_fails_says_what_to_do() {
    let world = world(&json!({"trap": true}));
    let refused = describe(&world);
    assert_eq!(refused.code, Some(1));
    let refused = refused.json();
    let (error, hint) = (refused["error"].as_str(), refused["hint"].as_str());
    assert!(error.expect("an error").contains("it crashed"), "{refused}");
    assert!(hint.expect("a hint").contains("`policies: {describe: NAME}`"), "{refused}");

    reconfigure(&world, &json!({"text": " \n "}), "");
    let refused = describe(&world).json();
    let error = refused["error"].as_str().expect("an error");
    assert!(error.contains("the description is empty"), "{error}");

    reconfigure(&world, &json!({"colour": "red"}), "");
    let refused = describe(&world).json();
    let error = refused["error"].as_str().expect("an error");
    assert!(error.contains("unknown field `colour`"), "{error}");
}

#[test]
fn the_built_in_policy_stands_in_where_the_config_allows_it() {
    let world = world(&json!({}));
    fs::write(world.path("infra/CLAUDE.md"), "Deploys the shop.\n").expect("a file");
    reconfigure(&world, &json!({"trap": true}), ", on_error: fallback");
    let described = describe(&world).json();
    assert_eq!(described["description"], "Deploys the shop.", "{described}");
    let fallback = described["policy_fallback"].as_str().expect("why");
    assert!(fallback.ends_with("the built-in 'classic' described the project"), "{fallback}");
}

#[test]
fn the_description_is_one_line_without_control_characters() {
    let world = world(&json!({"text": "one\ntwo\u{1b}[31m\tthree"}));
    let described = world.run(&["describe", "infra"]);
    assert_eq!(described.code, Some(0), "{described:?}");
    assert_eq!(described.stdout.lines().count(), 1, "{described:?}");
    assert!(!described.stdout.contains('\u{1b}'), "{described:?}");
}

#[test]
fn what_cannot_be_described_is_told() {
    let world = world(&json!({}));
    let unknown = world.run(&["describe", "nobody", "--json"]).json();
    assert_eq!(unknown["error"], "Unknown agent: 'nobody'. Available: infra");
    fs::remove_dir_all(world.path("infra")).expect("it is there");
    let gone = describe(&world).json();
    let error = gone["error"].as_str().expect("an error");
    let missing = format!("agent 'infra': {} does not exist", world.path("infra").display());
    assert_eq!(error, missing);
    fs::create_dir(world.path("infra")).expect("a folder");
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!("{yaml}  policies: {{describe: viw}}\n"));
    let refused = describe(&world).json();
    let error = refused["error"].as_str().expect("an error");
    assert!(error.starts_with("there is no describe policy 'viw'; there are: classic"), "{error}");
}

#[test]
fn the_detailed_policy_reads_more_and_is_configured_under_its_name() {
    let world = World::with_agent("answer hello");
    let project = world.path("infra");
    fs::write(project.join("CLAUDE.md"), "The shop.\n").expect("a file");
    fs::write(project.join("compose.yaml"), "services: {web: {}, db: {image: postgres:17}}\n")
        .expect("a file");
    fs::write(project.join("Makefile"), "all:\ntest:\nclean:\n").expect("a file");
    fs::write(project.join("Cargo.toml"), "[workspace]\nmembers = ['a', 'b']\n").expect("a file");
    let yaml = world.agents_yaml(&["infra"]);
    let describe = |policies: &str| {
        world.config(&format!("{yaml}  policies: {{describe: detailed}}\n{policies}"));
        describe(&world).json()
    };
    let described = describe("");
    assert_eq!(
        described["description"],
        "The shop. | Workspace: a, b | Services: web, db | Make: all, test, clean | Stack: Docker Compose, Rust | DB: PostgreSQL",
        "{described}"
    );
    assert_eq!(described["dbs"], json!(["PostgreSQL"]));
    let described = describe("policies: {detailed: {config: {max_items: 1, max_chars: 60}}}\n");
    assert_eq!(
        described["description"], "The shop. | Workspace: a and 1 more | Services: web and 1…",
        "{described}"
    );
    let refused = describe("policies: {detailed: {config: {max_item: 1}}}\n");
    assert!(
        refused["error"].as_str().is_some_and(|error| error.contains("`max_item`")),
        "{refused}"
    );
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!(
        "{yaml}  policies: {{describe: own}}\npolicies: {{own: {{config: {{}}}}}}\n"
    ));
    let refused = super::describing::describe(&world).json();
    let error = refused["error"].as_str().expect("an error");
    assert!(
        error.contains("names no `component`, and no built-in describe policy has its name"),
        "{error}"
    );
}
